"""Mentions and their notifications."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtserver.namespaces.chat.mentions import MAX_MENTIONS, Mentions, named_in
from rtserver.store.db.database import Database
from rtserver.store.messages.changes import Delete
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, NotificationDraft
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.rooms.room_store import Rooms
from tests.namespaces.chat.test_namespace import joined, settled
from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hello", []),
        ("hello @bob", ["bob"]),
        ("@bob, @eve: and @bob!", ["bob", "eve:", "eve"]),
        ("ask @auth0|42 or @bob@example.com.", ["auth0|42", "bob@example.com.", "bob@example.com"]),
        ("mail bob@example.com", []),
        ("(@bob)", ["bob"]),
        ("@@bob @ @. @-", []),
        ("@jörg und @李", ["jörg", "李"]),
    ],
)
def test_names_in_a_text(text: str, named: list[str]) -> None:
    assert named_in(text) == named


def test_the_list_and_the_text_add_up_and_are_bounded() -> None:
    assert named_in("@bob @eve", ["ann", "bob"]) == ["ann", "bob", "eve"]
    assert len(named_in(" ".join(f"@u{number}" for number in range(10_000)))) == MAX_MENTIONS


async def test_each_mentioned_member_gets_one_notification(device: Device) -> None:
    alice, bob, _ = await joined(device, "alice", "bob", "carol")
    inboxes = {user: await device(user, "/notifications") for user in ("alice", "bob", "carol", "stranger")}
    payload = {
        "room": "general",
        "text": "@bob and @bob and @stranger, and I @alice",
        "mentions": ["carol", "bob", "nobody"],
        "nonce": "n",
    }
    message = (await alice.call("message", payload))["message"]
    assert message["mentions"] == ["carol", "bob", "alice"]
    assert (await bob.next("message")) == [message]
    assert (await alice.call("message", payload))["message"] == message
    for user in ("bob", "carol"):
        [note] = await inboxes[user].next("notification")
        assert (note["type"], note["message"]) == ("mention", f"Alice: {message['text']}")
        assert note["data"] == {
            "room": "general", "id": message["id"], "seq": 1, "from": {"id": "alice", "name": "Alice"}
        }  # fmt: skip
    for user, count in {"alice": 0, "bob": 1, "carol": 1, "stranger": 0}.items():
        listed = await inboxes[user].call("list", {})
        assert len(listed["notifications"]) == count, user
    await settled(alice)


async def test_a_mention_removed_and_added_again_notifies_once(device: Device) -> None:
    alice, _ = await joined(device, "alice", "bob")
    inbox = await device("bob", "/notifications")
    sent = (await alice.call("message", {"room": "general", "text": "@bob hello"}))["message"]
    for text in ("hello", "@bob hello again"):
        ack = await alice.call("edit", {"room": "general", "id": sent["id"], "text": text})
        assert ack["ok"], ack
    assert [one["message"] for one in (await inbox.call("list"))["notifications"]] == ["Alice: @bob hello"]


async def test_a_repeated_edit_notifies_the_mention_that_failed_before(device: Device, running: RtServer) -> None:
    alice, _ = await joined(device, "alice", "bob")
    boss = await device("boss", "/chat", roles=("admin",))
    await boss.call("join", {"room": "general"})
    inboxes = {user: await device(user, "/notifications") for user in ("alice", "bob")}
    sent = (await alice.call("message", {"room": "general", "text": "hello @alice"}))["message"]
    edit = {"room": "general", "id": sent["id"], "text": "hello @bob and @alice"}
    with closing(sqlite3.connect(running.folder / "rtserver.db", isolation_level=None)) as database:
        database.execute("ALTER TABLE notifications RENAME TO away")
        refused = await alice.call("edit", edit)
        assert refused["error"]["code"] == "unavailable", refused
        database.execute("ALTER TABLE away RENAME TO notifications")
    for editor in (alice, alice, boss):
        again = await editor.call("edit", edit)
        assert again["message"]["text"] == edit["text"], again
    told = {user: (await inbox.call("list"))["notifications"] for user, inbox in inboxes.items()}
    assert [len(told[user]) for user in ("alice", "bob")] == [0, 1]


async def test_deleting_a_message_removes_its_mention_notifications(device: Device) -> None:
    alice, *_ = await joined(device, "alice", "bob", "carol")
    inboxes = {user: await device(user, "/notifications") for user in ("bob", "carol")}
    kept = (await alice.call("message", {"room": "general", "text": "@bob stay"}))["message"]
    sent = (await alice.call("message", {"room": "general", "text": "@bob secret"}))["message"]
    await alice.call("edit", {"room": "general", "id": sent["id"], "text": "@carol secret"})
    quoting = {user: (await inbox.call("list"))["notifications"][0]["id"] for user, inbox in inboxes.items()}
    await alice.call("delete", {"room": "general", "id": sent["id"]})
    for user, left in (("bob", 1), ("carol", 0)):
        [told] = await inboxes[user].next("deleted")
        assert (told["ids"], told["unread"]) == ([quoting[user]], left)
    [one] = (await inboxes["bob"].call("list"))["notifications"]
    assert one["data"]["id"] == kept["id"]
    assert (await inboxes["carol"].call("list"))["notifications"] == []


class Late:
    """Saves notifications only after a moderator has deleted the message."""

    def __init__(self, messages: Messages, inboxes: Notifications) -> None:
        self.messages, self.inboxes = messages, inboxes
        self.gone: list[tuple[str, str]] = []

    async def notify(self, drafts: list[NotificationDraft]) -> None:
        await self.messages.change(Delete("general", drafts[0].data["id"], "moderator", any_author=True))
        await self.inboxes.add(drafts)

    async def announce_deleted(self, removed: Sequence[tuple[str, str]]) -> None:
        self.gone += removed


async def test_a_message_deleted_before_its_notifications_is_not_quoted(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/chat.db")
    await database.connect()
    await database.migrate()
    messages, inboxes = Messages(database), Notifications(database)
    await messages.start()
    late = Late(messages, inboxes)
    alice = Author("alice", "Alice")
    message, _ = await messages.append(Draft("general", alice, "@bob secret", mentions=["bob", "alice"]))
    await Mentions(messages, Rooms(database), late).notify(message, ["bob", "alice"], "alice")
    assert await inboxes.list("bob") == ([], False)
    assert [user for user, _ in late.gone] == ["bob"]
    await messages.stop()
    await database.close()


async def test_in_a_direct_conversation_the_partner_is_mentioned_from_the_first_message_on(device: Device) -> None:
    alice, inbox = await device("alice", "/chat"), await device("bob", "/notifications")
    sent = await alice.call("message", {"to": "bob", "text": "@bob @carol look"})
    assert sent["message"]["mentions"] == ["bob"]
    [note] = await inbox.next("notification")
    assert note["data"]["room"] == "dm:alice:bob"


async def test_a_reply_names_a_message_of_its_room(device: Device) -> None:
    alice, _ = await joined(device, "alice", "bob")
    elsewhere = (await alice.call("message", {"to": "bob", "text": "hi"}))["message"]["id"]
    for wrong in (elsewhere, "nothing", "x" * 64):
        ack = await alice.call("message", {"room": "general", "text": "re", "replyTo": wrong})
        assert (ack["error"]["code"], ack["error"]["details"]) == ("not_found", {"field": "replyTo"})


MANY = [f"user{number}" for number in range(40)]
LIMITED = {
    "RATE_EVENTS": "100000/s",
    "RATE_MENTIONS": "30/m",
    "WEBHOOK_URL": "http://127.0.0.1:9/",
    "WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 4,
}


class Crowd:
    def __init__(self, running: RtServer, js: Callable[..., Awaitable[JsClient]]) -> None:
        self.running, self._js = running, js

    async def member(self, user: str) -> JsClient:
        client = await self._js(self.running.url, "/chat", token=self.running.token(user), transports=["websocket"])
        for room in ("general", "other"):
            assert (await client.call("join", {"room": room}))["ok"]
        return client

    def count(self, table: str, where: str = "TRUE") -> int:
        with closing(sqlite3.connect(self.running.folder / "rtserver.db")) as database:
            return int(database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])


@pytest.fixture
async def crowd(server: Callable[..., Awaitable[RtServer]], js: Callable[..., Awaitable[JsClient]]) -> Crowd:
    """A room with alice, who is connected, and forty members who are not; webhooks are on."""
    running = await server(**LIMITED)
    crowd = Crowd(running, js)
    headers = {"Authorization": f"Bearer {running.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for room in ("general", "other"):
            body = {"members": [{"id": user} for user in [*MANY, "alice", "bob"]]}
            async with http.post(f"{running.url}/api/rooms/{room}/members", json=body) as answer:
                assert answer.status == 200
    return crowd


async def flood(client: JsClient, event: str, *payloads: dict[str, Any]) -> list[dict[str, Any]]:
    return [await client.call(event, payload) for payload in payloads]


async def test_one_user_causes_a_bounded_number_of_mentions(crowd: Crowd) -> None:
    alice, laptop = await crowd.member("alice"), await crowd.member("alice")
    acks = []
    for number in range(30):
        payload = {"room": "general", "text": f"{number}", "mentions": MANY, "nonce": f"n{number}"}
        acks.append(await (alice, laptop)[number % 2].call("message", payload))
    good, bad = [ack for ack in acks if ack["ok"]], [ack["error"] for ack in acks if not ack["ok"]]
    assert len(good) == 1, "a burst of 60, and forty for each"
    assert all(error["code"] == "rate_limited" and 0 < error["retryAfter"] <= 60 for error in bad)
    assert crowd.count("notifications") == 40
    assert crowd.count("webhooks") == 40
    assert crowd.count("messages") == 1, "what is rejected is not saved"
    assert (await alice.call("message", {"room": "general", "text": "nobody"}))["ok"]
    assert (await alice.call("message", {"room": "general", "text": "@bob"}))["ok"]


async def test_repeats_rejections_and_edits_of_the_rest_cost_no_mentions(crowd: Crowd) -> None:
    alice = await crowd.member("alice")
    payload = {"room": "general", "text": "hello", "mentions": MANY, "nonce": "n"}
    for ack in await flood(alice, "message", *[payload] * 5):
        assert ack["ok"]
    for _ in range(5):
        ack = await alice.call("message", {**payload, "nonce": "x", "replyTo": "nothing"})
        assert ack["error"]["code"] == "not_found", ack
    edit = {"room": "general", "id": ack_id(await alice.call("message", payload)), "mentions": MANY}
    for ack in await flood(alice, "edit", *({**edit, "text": f"edited {number}"} for number in range(5))):
        assert ack["ok"], ack
    assert crowd.count("notifications") == 40
    assert (await alice.call("message", {"room": "general", "text": "@user1 and @user2"}))["ok"]


def ack_id(ack: dict[str, Any]) -> str:
    return str(ack["message"]["id"])


async def test_edits_that_mention_others_each_time_are_bounded(crowd: Crowd) -> None:
    alice = await crowd.member("alice")
    messages = [ack_id(await alice.call("message", {"room": "general", "text": "x"})) for _ in range(10)]
    acks = []
    for id_ in messages:
        for at in range(0, 40, 10):
            acks.append(
                await alice.call("edit", {"room": "general", "id": id_, "text": f"{at}", "mentions": MANY[at:][:10]})
            )
    assert sum(ack["ok"] for ack in acks) == 6
    assert crowd.count("notifications") == 60


async def test_one_webhook_waits_for_a_user_and_a_room(crowd: Crowd) -> None:
    writers = [await crowd.member(user) for user in ("alice", "bob")]
    for number in range(20):
        for writer in writers:
            room = ("general", "other")[number % 2]
            assert (await writer.call("message", {"room": room, "text": f"@user1 {number}"}))["ok"]
    assert crowd.count("notifications") == 40, "each is in the inbox"
    assert crowd.count("webhooks") == 2
    assert crowd.count("webhooks", "body LIKE '%@user1 18%'") == 1, "the latest one"
    assert (await writers[0].call("message", {"room": "general", "text": "@user2"}))["ok"]
    assert crowd.count("webhooks") == 3
