"""Posts of backends take the same path as messages of clients; in the test's own process, on SQLite."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.errors import InvalidPayload, NotFound, TooLarge
from rtserver.ingest.commands import MessageAuthor, MessageRequest
from rtserver.namespaces.chat import Chat
from rtserver.namespaces.chat.posting import Poster
from rtserver.store.messages.records import Author, Draft
from tests.namespaces.chat.conftest import Join
from tests.namespaces.chat.test_namespace import settled

SHOP = Author("shop", "The shop")


async def test_a_post_of_a_backend_reaches_its_rooms_and_users(chat: Chat, person: Join) -> None:
    alice, bob, carol = [await person(user) for user in ("alice", "bob", "carol")]
    await alice.call("join", {"room": "news"})
    drafts = [
        Draft("news", SHOP, "  Open now  ", nonce="n1"),
        Draft("dm:alice:bob", SHOP, "You two won", nonce="n2"),
        Draft("news", SHOP, "Closed", nonce="n3"),
    ]
    posted = await chat.poster.post(drafts)
    assert [(message.room, message.seq, message.text, new) for message, new in posted] == [
        ("news", 1, "Open now", True),
        ("dm:alice:bob", 1, "You two won", True),
        ("news", 2, "Closed", True),
    ]
    assert [(await alice.next("message"))[0]["text"] for _ in range(3)] == ["Open now", "You two won", "Closed"]
    assert (await bob.next("message"))[0]["text"] == "You two won"
    assert [room["room"] for room in (await bob.call("rooms"))["rooms"]] == ["dm:alice:bob"]
    again = await chat.poster.post(drafts)
    assert again == [(message, False) for message, _ in posted]
    await settled(alice, carol)
    assert (len(alice.received("message")), len(carol.received("message"))) == (3, 0)


async def test_many_posts_at_once_are_broadcast_in_the_order_of_seq(chat: Chat, person: Join) -> None:
    alice = await person("alice")
    await alice.call("join", {"room": "news"})
    batches = [[Draft("news", SHOP, f"{batch}.{number}") for number in range(20)] for batch in range(10)]
    await asyncio.gather(*(chat.poster.post(batch) for batch in batches))
    await settled(alice)
    assert [message["seq"] for [message] in alice.received("message")] == list(range(1, 201))


async def test_the_rules_for_names_texts_and_replies_apply_to_backends(chat: Chat, url: str) -> None:
    [(first, _)] = await chat.poster.post([Draft("news", SHOP, "first")])
    [(reply, _)] = await chat.poster.post([Draft("news", SHOP, "reply", reply_to=first.id)])
    assert reply.reply_to == first.id
    for draft, error in (
        (Draft("user:alice", SHOP, "x"), InvalidPayload),
        (Draft("dm:alice", SHOP, "x"), InvalidPayload),
        (Draft("dm:b:a", SHOP, "x"), InvalidPayload),
        (Draft("news", SHOP, " \u200b "), InvalidPayload),
        (Draft("news", SHOP, "x" * 10_001), TooLarge),
        (Draft("news", SHOP, "x", data="x" * 20_000), TooLarge),
        (Draft("news", SHOP, "x", reply_to="nothing"), NotFound),
        (Draft("elsewhere", SHOP, "x", reply_to=first.id), NotFound),
    ):
        with pytest.raises(error):
            await chat.poster.post([Draft("other", SHOP, "fine"), draft])


def test_a_request_of_a_backend_names_room_and_author() -> None:
    direct = MessageRequest(text="hi", from_=MessageAuthor(id="bob"), to="alice", key="k")
    assert Poster.draft_of(direct) == Draft("dm:alice:bob", Author("bob", "bob"), "hi", nonce="k")
    named = MessageRequest(
        text="hi", from_=MessageAuthor(id="bob", name="Bob"), room="news", reply_to="m", mentions=["eve"]
    )
    assert Poster.draft_of(named) == Draft("news", Author("bob", "Bob"), "hi", reply_to="m", mentions=["eve"])
