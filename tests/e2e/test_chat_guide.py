"""docs/chat.md: the code of the page runs as it is, in Node and in Chromium."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from tests.support.ports import free_port
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

GUIDE = (ROOT / "docs" / "chat.md").read_text()
STORY = r"""
import assert from "node:assert/strict";
const [url, tokens] = [process.argv[2], JSON.parse(process.argv[3])];
const person = async (user, device) => {
  const chat = await import(`./chat.mjs?${user}.${device}`);
  chat.connect(url, user, async () => tokens[user]);
  return chat;
};
const until = async (done, what) => {
  for (let i = 0; i < 1000 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert(done(), what);
};
const texts = (chat, room) => chat.messagesOf(room).map((message) => message.text);

const alice = await person("alice", "phone"), laptop = await person("alice", "laptop");
const bob = await person("bob", "phone");
const ours = await alice.open("general"), mine = await laptop.open("general"), his = await bob.open("general");

// Send, receive, count, read.
const first = await alice.send(ours, "hello @bob");
assert.deepEqual(first.mentions, ["bob"]);
await until(() => his.unread === 1 && texts(bob, his)[0] === "hello @bob", "Bob sees it");
await until(() => mine.messages.size === 1, "so does her laptop");
assert.equal(mine.unread, 0);
assert.equal((await bob.list())[0].mentions, 1);
await bob.read(his);
await until(() => ours.readBy.get("bob") === 1, "Alice sees that it was read");

// Typing ends with the message.
bob.typed(his);
await until(() => ours.typing.has("bob"), "Bob types");
const answer = await bob.send(his, "hi", { replyTo: first.id, data: { picture: "cat.png" } });
await until(() => !ours.typing.has("bob") && ours.messages.size === 2, "and is done");
assert.equal(ours.messages.get(2).replyTo, first.id);
await laptop.read(mine);
await until(() => ours.unread === 0 && ours.lastRead === 2, "read on one device, read on all");

// Edit, react, delete.
await alice.edit(first, "hello, @bob");
await bob.react(first, "👍");
await bob.remove(answer);
for (const [chat, room] of [[alice, ours], [laptop, mine], [bob, his]]) {
  await until(() => room.rev === 3, "all changes have come");
  assert.deepEqual(texts(chat, room), ["hello, @bob", ""]);
  assert.deepEqual(room.messages.get(1).reactions, [{ emoji: "👍", count: 1, users: ["bob"] }]);
  assert(room.messages.get(2).deletedAt);
}
await assert.rejects(alice.edit({ ...answer }, "mine now"), { code: "forbidden" });

// Away, and back.
bob.socket.io.engine.close();
bob.socket.disconnect();
for (let i = 0; i < 130; i++) await alice.send(ours, `word ${i}`);
await alice.edit(first, "hello again");
const late = bob.send(his, "written while away");
bob.socket.connect();
await late;
await until(() => his.messages.size === 133 && his.lastSeq === 133, "everything that was missed");
assert.equal(his.messages.get(1).text, "hello again");
await until(() => ours.lastSeq === 133, "and what was written meanwhile");

// Scroll back and search.
const carol = await person("carol", "phone"), hers = await carol.open("general");
assert.equal(hers.messages.size, 50);
while (hers.more) await carol.older(hers);
assert.deepEqual(carol.messagesOf(hers).map((message) => message.seq), [...Array(133).keys()].map((i) => i + 1));
const page = await carol.search("129 wor", hers);
assert.equal(page.messages[0].text, "word 129");

// Direct messages, to somebody who has never been in a room of it.
const private_ = await alice.open(alice.directRoom("carol"));
await alice.send(private_, "psst");
await until(() => carol.rooms.get("dm:alice:carol")?.unread === 1, "Carol hears of it");
assert.equal((await carol.open(carol.directRoom("alice"))).lastMessage.text, "psst");

// A file.
const picture = new File(["meow"], "cat.png", { type: "image/png" });
const withFile = await alice.sendFile(ours, url, tokens.alice, picture);
assert.equal(await (await fetch(url + withFile.data.attachment.url)).text(), "meow");
await until(() => his.messages.get(withFile.seq)?.data.attachment.name === "cat.png", "Bob sees it");

// A room with rules.
await bob.settingsOf(his);
const mod = await person("mod", "phone"), theirs = await mod.open("general");
await mod.configure(theirs, { readOnly: true, meta: { title: "Everybody" } });
await until(() => his.settings.readOnly && his.settings.meta.title === "Everybody", "Bob sees that it is read-only");
await assert.rejects(bob.send(his, "x"), { code: "forbidden" });
mod.socket.close();

// Out of the room: the other device hears of it.
await alice.leave(ours);
await until(() => !laptop.rooms.has("general"), "her laptop is out too");
for (const chat of [alice, laptop, bob, carol]) chat.socket.close();
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


async def test_the_code_of_the_guide_makes_a_chat(server: Callable[..., Awaitable[RtServer]], tmp_path: Path) -> None:
    running = await server(RATE_EVENTS="100000/s", UPLOAD_LIMIT="1000")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "chat.mjs").write_text("".join(blocks("js")))
    (tmp_path / "story.mjs").write_text(STORY)
    users = {"alice": (), "bob": (), "carol": (), "mod": ("moderator",)}
    tokens = json.dumps({user: running.token(user, user.capitalize(), roles) for user, roles in users.items()})
    story = await asyncio.create_subprocess_exec(
        "node", "story.mjs", running.url, tokens, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(story.communicate(), 60)
    assert story.returncode == 0, told.decode()


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
    (tmp_path / "chat.js").write_text("".join(blocks("js")))
    tabs = {}
    for user in ("alice", "bob"):
        tabs[user] = await browser.new_page()
        token = running.token(user, name=user.capitalize())
        await tabs[user].goto(f"{page_url}/index.html#{user}={token}")
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
    stranger = await browser.new_page()
    await stranger.goto(f"{page_url}/index.html#alice=rubbish")
    await expect(stranger.get_by_role("status")).to_have_text("Auth failed token_invalid")
