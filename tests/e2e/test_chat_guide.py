"""docs/chat.md: the code of the page runs as it is, in Node and in Chromium."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.support.ports import free_port
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

GUIDE = (ROOT / "docs" / "chat.md").read_text()
# What the blocks of the page use besides what they define.
PREAMBLE = """
const [token, ...others] = JSON.parse(process.argv[2]);
const getToken = async ({ fresh }) => token;
const rendered = [];
const render = (...line) => rendered.push(line);
const file = new File(["meow"], "cat.png", { type: "image/png" });
for (const other of others) await (await Chat.connect("http://127.0.0.1:8000", { io, token: other })).open("general");
"""
CHECKS = """
if (message.mentions[0] !== "bob" || messages[0].text !== "and Carol") throw new Error("send or search");
if (room.settings.readOnly !== true || chat.rooms[0] !== room || room.pending.length) throw new Error("settings");
if (!room.messages[0].deletedAt || room.messages[2].data.attachment.name !== "cat.png") throw new Error("messages");
if (!rendered.some(([name, text]) => name === "Alice" && text === "Hello, @bob")) throw new Error("nothing is drawn");
process.exit(0);
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


async def test_the_code_of_the_guide_runs_in_node(server: Callable[..., Awaitable[RtServer]], tmp_path: Path) -> None:
    running = await server(RATE_EVENTS="100000/s", UPLOAD_LIMIT="1000")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    [copying] = [block for block in blocks("sh") if "curl" in block]
    shell = await asyncio.create_subprocess_exec(
        "bash", "-eu", "-c", copying.replace("http://127.0.0.1:8000", running.url), cwd=tmp_path
    )
    assert await shell.wait() == 0
    first, *rest = blocks("js")
    imports, _, first = first.partition("\n\n")
    code = "\n".join([imports, PREAMBLE, first, *rest, CHECKS]).replace("http://127.0.0.1:8000", running.url)
    (tmp_path / "guide.mjs").write_text(code)
    tokens = [running.token("alice", "Alice", ("moderator",)), running.token("bob", "Bob"), running.token("carol")]
    guide = await asyncio.create_subprocess_exec(
        "node", "guide.mjs", json.dumps(tokens), cwd=tmp_path, stdout=PIPE, stderr=PIPE
    )
    said, told = await asyncio.wait_for(guide.communicate(), 60)
    assert guide.returncode == 0, told.decode()
    assert "image cat.png 4" in said.decode()


@pytest.fixture
async def page_url(tmp_path: Path) -> AsyncIterator[str]:
    """Serve the page of the guide from another origin."""
    app = web.Application()
    app.router.add_static("/", tmp_path)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://localhost:{port}"
    await runner.cleanup()


async def test_the_page_of_the_guide_works_in_a_browser(
    server: Callable[..., Awaitable[RtServer]], browser: Browser, page_url: str, tmp_path: Path
) -> None:
    running = await server(MODE="development")
    [html] = blocks("html")
    (tmp_path / "index.html").write_text(html.replace("http://127.0.0.1:8000", running.url))
    tabs: dict[str, Page] = {}
    for user in ("alice", "bob"):
        tabs[user] = await browser.new_page()
        token = running.token(user, name=user.capitalize())
        await tabs[user].goto(f"{page_url}/index.html#{token}")
        await expect(tabs[user].get_by_label("Message")).to_be_visible()
    alice, bob = tabs["alice"], tabs["bob"]
    await expect(alice.get_by_label("Message")).to_be_focused()
    await expect(alice.get_by_role("status")).to_be_empty()
    await alice.get_by_label("Message").press_sequentially("Hello <b>Bob</b>")
    await expect(bob.locator("#typing")).to_have_text("alice typing…")
    await alice.keyboard.press("Enter")
    await expect(bob.locator("li")).to_have_text("Alice: Hello <b>Bob</b>")
    await bob.locator("li").dblclick()
    await expect(alice.locator("li")).to_have_text("Alice: Hello <b>Bob</b> 👍 1")
    await expect(bob.locator("#typing")).to_be_empty()

    await running.kill()
    await alice.get_by_label("Message").fill("Written offline")
    await alice.keyboard.press("Enter")
    await expect(alice.locator("li").last).to_have_text("(waiting) Written offline")
    await running.restart()
    await expect(bob.locator("li").last).to_have_text("Alice: Written offline")
    stranger = await browser.new_page()
    await stranger.goto(f"{page_url}/index.html#eyJh.eyJzdWIiOiJhIn0.x")
    await expect(stranger.get_by_role("status")).to_have_text("token_invalid")
