"""Code that is shown to users joins its rooms in `on("connect")`: rooms belong to a connection.

A page that joins once is in no room after its first reconnect, and hears nothing more, without an error.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

_BLOCK = re.compile(r"^ *```(?:js|javascript|mjs|ts|html)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_JOIN = re.compile(r"""\.emit(?:WithAck)?\(\s*["'`](?:join|subscribe|enter|watch|follow)""")
_CONNECT = re.compile(r"""\.on\(\s*["'`]connect["'`]""")
LANDING = ROOT / "rtserver" / "web" / "assets" / "js" / "landing.js"


def shown() -> Iterator[tuple[str, str]]:
    """Every piece of JavaScript that users read."""
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "examples").rglob("*.md")),
    ):
        for number, code in enumerate(_BLOCK.findall(page.read_text()), start=1):
            yield f"{page.relative_to(ROOT)} block {number}", code
    for folder in ("examples", "rtserver/web"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".js", ".mjs", ".html") and "vendor" not in path.parts:
                yield str(path.relative_to(ROOT)), path.read_text()


def handlers(code: str) -> list[range]:
    """The extent of each call `.on("connect", …)`."""
    found = []
    for match in _CONNECT.finditer(code):
        depth, start = 0, code.index("(", match.start())
        for end in range(start, len(code)):
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            if depth == 0:
                found.append(range(start, end))
                break
    return found


def joins_outside(code: str) -> list[str]:
    inside = handlers(code)
    return [match.group() for match in _JOIN.finditer(code) if not any(match.start() in each for each in inside)]


PIECES = dict(shown())


def test_the_scan_sees_the_code_and_what_is_wrong_with_it() -> None:
    assert sum(bool(_JOIN.search(code)) for code in PIECES.values()) >= 5
    once = 'await s.emitWithAck("join", {room});'
    assert joins_outside(once)
    assert joins_outside(f's.on("connect", () => show());\n{once}')
    assert not joins_outside(f's.on("connect", async () => {{ {once} }});')


@pytest.mark.parametrize("name", PIECES)
def test_rooms_are_joined_at_every_connection(name: str) -> None:
    assert joins_outside(PIECES[name]) == []


RECONNECT = """
import assert from "node:assert/strict";
import { io as connect } from "socket.io-client";
const [url, alice, bob] = process.argv.slice(2);
const sockets = [], heard = [], TOKEN = alice, token = alice;
const io = (...args) => sockets[sockets.push(connect(...args)) - 1];
const button = {};
globalThis.document = { querySelector: () => button };
const console = { log: (...said) => heard.push(said.join(" ")) };
CODE
const say = typeof send === "function" ? send : button.onclick;
const until = async (done, what) => {
  for (let i = 0; i < 3000 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert(done(), what);
};
const other = connect(url + "/chat", { auth: { token: bob } }), got = [];
other.on("message", ({ text }) => got.push(text));
other.on("connect", () => other.emitWithAck("join", { room: "general" }));
const mine = () => sockets[0].emitWithAck("rooms", {}); // answered after what was emitted before it
await until(() => sockets[0].connected && other.connected, "connected");
await mine();
await other.emitWithAck("message", { room: "general", text: "before" });
await until(() => heard.includes("Bob before"), "heard before");
sockets[0].io.engine.close();
await until(() => !sockets[0].connected, "gone");
await until(() => sockets[0].connected, "back");
await mine();
await other.emitWithAck("message", { room: "general", text: "after" });
await until(() => heard.includes("Bob after"), "heard after the reconnect");
assert.equal((await say("Hello!")).ok, true);
await until(() => got.includes("Hello!"), "the others hear it too");
for (const socket of [sockets[0], other]) socket.close();
"""


def readme_script() -> str:
    [code] = [code for name, code in PIECES.items() if name.startswith("README") and "emitWithAck" in code]
    return code.partition('<script type="module">')[2].partition("</script>")[0]


def landing_script() -> str:
    code = LANDING.read_text().partition('byId("browser-code"),\n  `')[2].partition("`,\n")[0]
    assert "emitWithAck" in code
    return re.sub(r"\$\{PATH.*?`\}", "", code)  # empty where the server's path is the default


@pytest.mark.parametrize("script", [readme_script, landing_script])
async def test_the_first_code_that_is_shown_hears_the_room_after_a_reconnect(
    server: Callable[..., Awaitable[RtServer]], script: Callable[[], str], tmp_path: Path
) -> None:
    running = await server()
    code = re.sub(r"import \{ io \} from\s+\"[^\"]*\";", "", script())
    code = code.replace("${origin}", running.url).replace("http://127.0.0.1:8000", running.url)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "story.mjs").write_text(RECONNECT.replace("CODE", code))
    tokens = [running.token(user, user.capitalize()) for user in ("alice", "bob")]
    story: Any = await asyncio.create_subprocess_exec(
        "node", "story.mjs", running.url, *tokens, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(story.communicate(), 60)
    assert story.returncode == 0, told.decode()
