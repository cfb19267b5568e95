"""What is saved while an instance does not reach Redis comes to its clients by itself afterwards, in order and once."""

import asyncio

import pytest

from rtserver.store.messages.changes import Edit
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.records import NotificationDraft
from tests.namespaces.delivery.conftest import Device, Pair
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer


async def cut_off(pair: Pair) -> None:
    """The second server loses Redis, and knows it."""
    pair.line.cut()
    await pair.away.ready(503)


async def say(device: Device, *texts: str, **place: str) -> list[dict]:
    return [(await device.call("message", {**place, "text": text}))["message"] for text in texts]


async def test_everything_saved_during_an_outage_comes_afterwards_in_order_and_once(pair: Pair) -> None:
    ada, bob = await pair.here.device("ada", "hall"), await pair.away.device("bob", "hall")
    tablet = await pair.away.device("bob", name="tablet")
    [first] = await say(ada, "before", room="hall")
    [note] = (await pair.here.post("notifications", {"user": "bob", "type": "t", "message": "seen"}))["notifications"]
    await eventually(lambda: bob.texts() == ["before"] and tablet.notes() == ["seen"])
    [earlier] = await say(ada, "a secret", to="bob")
    await eventually(lambda: len(bob.texts()) == 2)

    await cut_off(pair)
    await say(ada, *(f"{number}" for number in range(7)), room="hall")
    await ada.call("edit", {"room": "hall", "id": first["id"], "text": "after all"})
    await say(ada, "direct one", "direct two", to="bob")
    await ada.call("delete", {"to": "bob", "id": earlier["id"]})
    for number in range(3):
        await pair.here.post("notifications", {"user": "bob", "type": "t", "message": f"n{number}"})
    phone = await pair.here.device("bob")
    await phone.call("read", {"ids": [note["id"]]}, "/notifications")
    for device in (bob, tablet):
        device.heard.clear()
    pair.line.mend()
    await pair.away.ready()

    await eventually(lambda: len(bob.texts()) >= 9 and bob.all("messageEdited") and bob.all("messageDeleted"))
    await eventually(lambda: len(tablet.notes()) >= 3 and tablet.all("unread") and bob.all("unread"))
    hall = [payload["text"] for _, payload in bob.all("message") if payload["room"] == "hall"]
    direct = [payload["text"] for _, payload in bob.all("message") if payload["room"] != "hall"]
    assert hall == [f"{number}" for number in range(7)]
    assert direct == ["direct one", "direct two"]
    assert bob.texts("messageEdited") == ["after all"]
    assert [payload["id"] for _, payload in bob.all("messageDeleted")] == [earlier["id"]]
    assert tablet.notes() == bob.notes() == ["n0", "n1", "n2"]
    assert [payload["count"] for _, payload in bob.all("unread")][-1] == 3
    # Live events go on where they were, and none comes twice.
    await say(ada, "live", room="hall")
    await eventually(lambda: bob.texts()[-1] == "live")
    assert bob.texts().count("live") == 1
    assert len(bob.all("message")) == 10
    assert not ada.all("message", "messageEdited"), "the sender has its acks, and was not cut off"


async def test_an_outage_of_redis_itself_loses_nothing_that_is_saved(pair: Pair, redis_server: RedisServer) -> None:
    ada, bob = await pair.here.device("ada", "hall"), await pair.away.device("bob", "hall")
    cy = await pair.away.device("cy", "hall")
    await asyncio.to_thread(redis_server.stop)
    await pair.here.ready(503)
    await pair.away.ready(503)
    await say(ada, "from here", room="hall")
    await say(bob, "from there", room="hall")
    await pair.away.post("notifications", {"user": "ada", "type": "t", "message": "to here"})
    await pair.here.post("notifications", {"user": "cy", "type": "t", "message": "to there"})
    await asyncio.to_thread(redis_server.start)
    await eventually(lambda: ada.texts() == ["from there"] and ada.notes() == ["to here"])
    await eventually(lambda: bob.texts() == ["from here"] and cy.notes() == ["to there"])
    await eventually(lambda: sorted(cy.texts()) == ["from here", "from there"])


async def test_a_named_device_gets_what_was_lost_until_it_acks(pair: Pair) -> None:
    tablet = await pair.away.device("bob", name="tablet")
    tablet.deaf = True
    await cut_off(pair)
    [sent] = (await pair.here.post("notifications", {"user": "bob", "type": "t", "message": "hear me"}))[
        "notifications"
    ]
    pair.line.mend()
    await eventually(lambda: tablet.notes() == ["hear me"] * 3)  # it is repeated
    tablet.deaf = False
    await eventually(lambda: _has_receipt(pair, sent["id"]))


async def _has_receipt(pair: Pair, id_: str) -> bool:
    _, _, receipts = await Notifications(pair.database).find(id_)
    return [one.device for one in receipts] == ["tablet"]


async def test_a_message_that_was_saved_and_told_to_nobody_is_told_when_its_nonce_is_repeated(pair: Pair) -> None:
    """Its instance died between commit and broadcast: here the database has it, and no instance knows it."""
    ada, bob = await pair.here.device("ada", "hall"), await pair.away.device("bob", "hall")
    cy, dan = await pair.here.device("cy", "hall"), await pair.away.device("dan")
    [before] = await say(ada, "before", room="hall")
    await eventually(lambda: bob.texts() == cy.texts() == ["before"])
    store = Messages(pair.database)
    await store.start()
    author = Author("ada", "ada")
    await store.append(Draft("hall", author, "lost", nonce="n1"))
    await say(ada, "hello", to="dan")
    await eventually(lambda: dan.texts() == ["hello"])
    await store.append(Draft("dm:ada:dan", author, "lost too", nonce="n2"))
    await store.change(Edit("hall", before["id"], "ada", False, "edited"))
    await store.stop()

    for _ in range(3):
        again = await ada.call("message", {"room": "hall", "text": "lost", "nonce": "n1"})
        assert again["message"]["seq"] == 2
        await ada.call("message", {"to": "dan", "text": "lost too", "nonce": "n2"})
        await ada.call("edit", {"room": "hall", "id": before["id"], "text": "edited"})
    await eventually(lambda: bob.texts() == cy.texts() == ["before", "lost"] and dan.texts() == ["hello", "lost too"])
    await say(ada, "after", room="hall")
    await eventually(lambda: bob.texts() == cy.texts() == ["before", "lost", "after"])
    await eventually(lambda: bob.texts("messageEdited") == cy.texts("messageEdited") == ["edited"])
    assert ada.texts() == []


async def test_a_notification_that_was_saved_and_told_to_nobody_is_told_when_its_key_is_repeated(pair: Pair) -> None:
    phone, tablet = await pair.here.device("bob"), await pair.away.device("bob", name="tablet")
    await Notifications(pair.database).add([NotificationDraft("bob", "t", "lost", key="k")])
    for _ in range(3):
        await pair.here.post("notifications", {"user": "bob", "type": "t", "message": "lost", "key": "k"})
    await pair.here.post("notifications", {"user": "bob", "type": "t", "message": "after"})
    await eventually(lambda: "after" in phone.notes() and "after" in tablet.notes())
    assert phone.notes() == tablet.notes() == ["lost", "after"]


async def test_a_hole_is_filled_without_any_fault_that_was_noticed(pair: Pair) -> None:
    ada, bob = await pair.here.device("ada", "hall"), await pair.away.device("bob", "hall")
    store = Messages(pair.database)
    await store.start()
    await store.append(Draft("hall", Author("eve", "eve"), "lost"))
    await store.stop()
    await say(ada, "heard", room="hall")
    await eventually(lambda: bob.texts() == ["heard", "lost"])


@pytest.mark.parametrize("pair", ["classic"], indirect=True)
async def test_idle_rooms_cost_one_query_for_many(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage in which nothing was saved, nothing is read but the last numbers of the rooms."""
    rooms = [f"room{number}" for number in range(50)]
    bob = await pair.away.device("bob", *rooms)
    read: list[str] = []

    async def history(self: Messages, room: str, **page: object) -> tuple[list, bool]:
        read.append(room)
        return [], False

    monkeypatch.setattr(Messages, "history", history)
    await cut_off(pair)
    pair.line.mend()
    await pair.away.ready()
    await eventually(lambda: bob.all("unread"))
    assert read == []
    assert not bob.all("message")
