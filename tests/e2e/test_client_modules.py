"""Client modules in Node.js, with the official client: /client/chat.js and /client/notifications.js."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable

import aiohttp

from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

Servers = Callable[..., Awaitable[RtServer]]

HELPERS = r"""
import assert from "node:assert/strict";
import { io } from "socket.io-client";
const [url, tokens] = [process.argv[2], JSON.parse(process.argv[3])];
const until = async (done, what) => {
  for (let i = 0; i < 3000 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert(done(), what);
};
"""

CHAT = r"""
import { Chat } from "CLIENT/chat.js";
const person = (user, options = {}) => Chat.connect(url, { io, token: async () => tokens[user], ...options });
const texts = (room) => room.messages.map((message) => message.text);

const alice = await person("alice"), laptop = await person("alice"), bob = await person("bob");
const ours = await alice.open("general"), mine = await laptop.open("general"), his = await bob.open("general");
const heard = [];
bob.on("message", ({ message, mine }) => heard.push([message.text, mine]));
await until(() => ours.members.has("bob") && ours.memberCount === 2 && alice.person("bob").name === "Bob", "members");

// Send, receive, count, read.
const first = await alice.send(ours, "hello @bob");
assert.deepEqual(first.mentions, ["bob"]);
await until(() => his.unread === 1 && his.mentions === 1 && texts(his)[0] === "hello @bob", "Bob sees it");
await until(() => mine.messages.length === 1, "so does her laptop");
assert.equal(mine.unread, 0);
await bob.read(his);
await until(() => ours.readCursors.get("bob") === 1, "Alice sees that it was read");
assert.equal(his.mentions, 0);

// Typing ends with the message.
bob.typing(his);
await until(() => ours.typing.has("bob"), "Bob types");
const answer = await bob.send(his, "hi", { replyTo: first.id, data: { picture: "cat.png" } });
await until(() => !ours.typing.has("bob") && ours.messages.length === 2, "and is done");
assert.equal(ours.messages[1].replyTo, first.id);
await laptop.read(mine);
await until(() => ours.unread === 0 && ours.lastRead === 2, "read on one device, read on all");

// Edit, react, delete.
await alice.edit(first, "hello, @bob");
await bob.react(first, "👍");
await bob.remove(answer);
for (const room of [ours, mine, his]) {
  await until(() => room.rev === 3, "all changes have come");
  assert.deepEqual(texts(room), ["hello, @bob", ""]);
  assert.deepEqual(room.messages[0].reactions, [{ emoji: "👍", count: 1, users: ["bob"] }]);
  assert(room.messages[1].deletedAt);
}
await assert.rejects(alice.edit({ ...answer }, "mine now"), { code: "forbidden" });
await assert.rejects(alice.send(ours, "x".repeat(10_001)), { code: "too_large" });
assert.equal(ours.pending[0].state, "failed");
alice.discard(ours, ours.pending[0]);
assert.equal(ours.pending.length, 0);

// Away, and back: nothing is missed, and what was written waits and keeps its order.
bob.connection.socket.disconnect();
await Promise.all([...Array(130).keys()].map((i) => alice.send(ours, `word ${i}`)));
assert.deepEqual(texts(ours).slice(2), [...Array(130).keys()].map((i) => `word ${i}`));
await alice.edit(first, "hello again");
const late = [bob.send(his, "written while away"), bob.send(his, "and more")];
assert.deepEqual(his.pending.map(({ state }) => state), ["waiting", "waiting"]);
bob.connection.retry();
const saved = await Promise.all(late);
assert.equal(saved[1].seq, saved[0].seq + 1);
await until(() => his.messages.length === 134 && his.contiguousSeq === 134, "everything that was missed");
assert.equal(his.messages[0].text, "hello again");
await until(() => ours.lastSeq === 134, "and what was written meanwhile");

// The last words before a reload are sent by the next page, once.
const values = new Map();
const storage = {
  get length() { return values.size; },
  key: (index) => [...values.keys()][index] ?? null,
  getItem: (key) => values.get(key) ?? null,
  setItem: (key, value) => values.set(key, value),
  removeItem: (key) => values.delete(key),
};
const tab = await person("alice", { storage });
const shown = await tab.open("general");
tab.connection.call = async (event, payload) => {           // saved, but the page is gone before the ack comes
  await tab.connection.socket.emitWithAck(event, payload);
  return new Promise(() => {});
};
tab.send(shown, "before the reload");
await until(() => ours.lastSeq === 135, "it is saved");
tab.close();
assert.equal(values.size, 1);
values.set("rtserver.unsent:alice:x", "{rubbish");
values.set("rtserver.unsent:alice:y", JSON.stringify({ room: "general", nonce: 7 }));
const next = await person("alice", { storage });
assert.equal(next.conversations.get("general").pending[0].text, "before the reload");
const again = await next.open("general");
await until(() => again.pending.length === 0 && ![...values.keys()].some((key) => key.length > 25), "it is confirmed");
assert.equal(texts(again).filter((text) => text === "before the reload").length, 1);
next.close();

// Scroll back and search.
const carol = await person("carol"), hers = await carol.open("general");
assert.equal(hers.messages.length, 50);
while (hers.hasOlder) await carol.older(hers);
assert.deepEqual(hers.messages.map((message) => message.seq), [...Array(135).keys()].map((i) => i + 1));
const page = await carol.search("129 wor", { in: hers });
assert.equal(page.messages[0].text, "word 129");

// All rooms receive messages, not only those on screen; the last active is the first.
await alice.open("side");
const both = await person("alice");
await both.ready;
const dave = await person("dave");
await dave.send(await dave.open("side"), "over here");
await until(() => both.conversations.get("side").unread === 1, "a room that is not open");
assert.deepEqual(both.rooms.map(({ room }) => room), ["side", "general"]);
both.close();

// Direct messages, to somebody who has never been in a room of it.
const private_ = await alice.openDirect("carol");
await alice.send(private_, "psst");
await until(() => carol.conversations.get("dm:alice:carol")?.unread === 1, "Carol hears of it");
assert.equal((await carol.openDirect("alice")).latest.text, "psst");

// A file.
assert.equal(await alice.uploads.enabled(), true);
const withFile = await alice.sendFile(ours, new File(["meow"], "cat.png", { type: "image/png" }));
const attachment = alice.attachmentOf(withFile);
assert.equal(await (await fetch(attachment.url)).text(), "meow");
assert.equal(attachment.kind, "image");
for (const hostile of ["https://evil.example/uploads/x", "/uploads/../api", "javascript:alert(1)", null, 7]) {
  assert.equal(alice.attachmentOf({ data: { attachment: { url: hostile, name: "x", type: "image/png" } } }), null);
}
const big = new File(["x".repeat(2000)], "big.png", { type: "image/png" });
await assert.rejects(alice.sendFile(ours, big), { code: "too_large" });

// A room with rules, a gap, an event that chat does not have, and a socket of one's own.
const mod = await person("mod"), theirs = await mod.open("general");
await mod.configure(theirs, { readOnly: true, meta: { title: "Everybody" } });
await until(() => his.readOnly && his.settings.meta.title === "Everybody", "Bob sees that it is read-only");
await assert.rejects(bob.send(his, "x"), { code: "forbidden" });
bob.discard(his, his.pending[0]);
const lost = his.messages.splice(-3, 1)[0];
await mod.send(theirs, "after the gap");
await until(() => !his.hasGap && his.messages.some(({ id }) => id === lost.id), "the gap is filled");
const announced = [];
bob.on("announcement", (announcement) => announced.push(announcement));
const admin = io(`${url}/admin`, { auth: { token: tokens.root } });
await admin.emitWithAck("announce", { namespaces: ["/chat"], event: "maintenance", data: { text: "at 22:00" } });
await until(() => announced.length === 1, "announced");
assert.deepEqual(announced, [{ event: "maintenance", data: { text: "at 22:00" } }]);
admin.close();
const socket = io(`${url.replace("http", "ws")}/chat`, { auth: { token: tokens.erin }, forceNew: true });
const own = new Chat(socket, { user: "erin" });
assert.equal((await own.open("side")).messages[0].text, "over here");
assert.equal(own.uploads.url, url);
assert.throws(() => new Chat(own.connection.socket, {}), /pass `user`/);

// Refused, and again with another token.
let now = "rubbish";
const refused = await Chat.connect(url, { io, token: () => now, user: "erin" });
const states = [];
refused.on("state", (state, problem) => states.push([state, problem?.code]));
await until(() => states.some(([, code]) => code === "token_invalid"), "refused");
now = tokens.erin;
refused.connection.retry();
await refused.ready;

// A source of tokens that fails is asked again.
let asked = 0;
const source = async () => {
  asked += 1;
  if (asked === 1) throw new Error("The login page is down");
  return tokens.erin;
};
await (await Chat.connect(url, { io, token: source, user: "erin" })).ready;
assert.equal(asked, 2);

// Out of the room: the other device hears of it.
await alice.leave(ours);
await until(() => !laptop.conversations.has("general"), "her laptop is out too");
assert(heard.some(([text, mine]) => text === "hello @bob" && !mine));
process.exit(0);
"""

NOTIFICATIONS = r"""
import { Notifications } from "CLIENT/notifications.js";
const notify = (body) => fetch(`${url}/api/notifications`, {
  method: "POST", body: JSON.stringify({ user: "alice", type: "t", ...body }),
  headers: { Authorization: `Bearer ${tokens.key}`, "Content-Type": "application/json" },
}).then((answer) => answer.json()).then((answer) => answer.notifications[0]);
for (let number = 0; number < 45; number += 1) await notify({ message: `before ${number}` });
const open = (device) => Notifications.connect(url, { io, token: tokens.alice, device });
const phone = await open("phone"), laptop = await open("laptop");
for (const device of [phone, laptop]) {
  await until(() => device.loaded && device.unseen === 45, "all are counted");
  assert.equal(device.list.length, 30);
}
await phone.older();
assert.deepEqual([phone.list.length, phone.hasOlder, phone.list.at(-1).message], [45, false, "before 0"]);

// Seen and read on one device, on the other too; a group grows in place, and counts once.
await phone.seen();
await until(() => laptop.unseen === 0, "seen");
const pushed = [];
laptop.on("notification", (note) => pushed.push(note.message));
for (const count of [1, 2, 3]) await notify({ message: `${count} replies`, groupKey: "post" });
for (const device of [phone, laptop]) {
  await until(() => device.list[0].message === "3 replies" && device.unseen === 1, "grown");
  assert.deepEqual([device.list[0].count, device.unread], [3, 46]);
}
assert.deepEqual(pushed, ["1 replies", "2 replies", "3 replies"]);
await phone.read([phone.list[0].id]);
await until(() => laptop.list[0].read && laptop.list[0].seen && laptop.unread === 45, "read");
await laptop.readAll();
await until(() => phone.unread === 0 && phone.list.every(({ read }) => read), "all read");
await laptop.remove([laptop.list[0].id]);
await until(() => phone.list[0].message === "before 44", "removed");
await assert.rejects(phone.remove(["x".repeat(1000)]), { code: "invalid_payload" });

// Filters, types, expiry, preferences, receipts.
const other = await notify({ type: "other", message: "Another type" });
await until(() => phone.types.includes("other"), "a type");
await phone.filter({ type: "other" });
assert.deepEqual(phone.list.map(({ message }) => message), ["Another type"]);
await phone.filter({ unreadOnly: true });
assert.equal(phone.list.length, 1);
await phone.filter({});
await notify({ message: "For a moment", expiresAt: Date.now() + 1500 });
await until(() => phone.list[0].message === "For a moment", "it is there");
await until(() => phone.list[0].message === "Another type", "and gone");
await phone.setPreferences({ mutedTypes: ["ads"] });
await until(() => laptop.preferences?.mutedTypes[0] === "ads", "muted on both");
const headers = { Authorization: `Bearer ${tokens.key}` };
const stored = async () => (await fetch(`${url}/api/notifications/${other.id}`, { headers })).json();
while ((await stored()).deliveries.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));

// Without the name of a device there are no receipts: the server would refuse them.
const nameless = await open(undefined);
const sent = [];
nameless.connection.socket.onAnyOutgoing((event) => sent.push(event));
await until(() => nameless.loaded, "the list without a device name");
assert.deepEqual(sent.filter((event) => event !== "list" && event !== "preferences"), []);

// What came while away is in the list.
phone.connection.socket.disconnect();
await notify({ message: "while away" });
phone.connection.retry();
await until(() => phone.list[0].message === "while away", "caught up");
process.exit(0);
"""


PAGES = r"""
import assert from "node:assert/strict";
import { Store } from "CLIENT/store.js";
import { Sync } from "CLIENT/sync.js";

// A server that lists one room per page; "c" becomes active between two pages, and moves to the front.
const summary = (room) => ({ room, unread: 0, mentions: 0, lastRead: 0, rev: 0 });
const asked = [];
const answers = {
  rooms: ({ cursor }) => {
    asked.push(cursor ?? "");
    if (cursor === undefined) return { rooms: [summary(asked.length > 1 ? "c" : "a")], next: "after a" };
    return cursor === "after a" ? { rooms: [summary("b")], next: "after b" } : { rooms: [summary("d")], next: null };
  },
  sync: ({ rooms }) => {
    const part = { messages: [], changed: [], lastSeq: 0, rev: 0, unread: 0, lastRead: 0, more: false };
    return { rooms: Object.fromEntries(Object.keys(rooms).map((room) => [room, part])) };
  },
  online: () => ({ online: [] }),
};
const connection = { socket: { on() {} }, call: async (event, payload = {}) => answers[event](payload) };
const store = new Store({ id: "ann" }, []);
await new Sync(connection, store, { onArrival() {} }).catchUp();
assert.deepEqual(asked, ["", "after a", "after b", ""]);
assert.deepEqual([...store.conversations.keys()].sort(), ["a", "b", "c", "d"]);

// A server of a version without pages.
answers.rooms = () => ({ rooms: [summary("e")] });
await new Sync(connection, store, { onArrival() {} }).catchUp();
assert(store.conversations.has("e"));
process.exit(0);
"""


async def run(server: RtServer, story: str, tokens: dict[str, str]) -> None:
    code = (HELPERS + story).replace("CLIENT", (ROOT / "rtserver" / "web" / "client").as_uri())
    node = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "-", server.url, json.dumps(tokens),
        cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    _, told = await asyncio.wait_for(node.communicate(code.encode()), 120)
    assert node.returncode == 0, told.decode()


async def test_the_chat_module_keeps_step_with_the_server(server: Servers) -> None:
    running = await server(RATE_EVENTS="100000/s", UPLOAD_LIMIT="1000")
    roles = {"mod": ("moderator",), "root": ("admin",)}
    users = ("alice", "bob", "carol", "dave", "erin", "mod", "root")
    await run(running, CHAT, {user: running.token(user, user.capitalize(), roles.get(user, ())) for user in users})


async def test_the_chat_module_reads_all_pages_of_the_rooms() -> None:
    code = PAGES.replace("CLIENT", (ROOT / "rtserver" / "web" / "client").as_uri())
    node = await asyncio.create_subprocess_exec("node", "--input-type=module", "-", cwd=ROOT, stdin=PIPE, stderr=PIPE)
    _, told = await asyncio.wait_for(node.communicate(code.encode()), 120)
    assert node.returncode == 0, told.decode()


async def test_the_notifications_module_keeps_step_with_the_server(server: Servers) -> None:
    running = await server()
    await run(running, NOTIFICATIONS, {"alice": running.token("alice"), "key": running.api_key})


async def test_the_modules_and_their_types_are_served_to_pages_of_allowed_origins(server: Servers) -> None:
    origin = "https://app.example.com"
    running = await server(CORS_ORIGINS=origin)
    modules = sorted(path.name for path in (ROOT / "rtserver" / "web" / "client").iterdir())
    async with aiohttp.ClientSession(headers={"Origin": origin}) as http:
        for name in modules:
            for file in (name, name.replace(".js", ".d.ts")):
                async with http.get(f"{running.url}/client/{file}") as answer:
                    assert answer.status == 200, file
                    assert answer.headers["Access-Control-Allow-Origin"] == origin
                    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
                    assert answer.content_type == ("application/javascript" if file.endswith(".js") else "text/plain")
        async with http.get(f"{running.url}/client/../client/nothing.js") as answer:
            assert answer.status == 404
