"""Records as clients see them."""

import msgspec

from rtserver.clock import from_iso, iso
from rtserver.store.messages.records import Author, Message, Notification, RoomSummary


def test_a_message_is_camel_case_without_empty_fields() -> None:
    message = Message("1", 7, "lobby", Author("ann", "Ann"), "hi", "2026-11-22T15:04:05.123Z")
    assert msgspec.to_builtins(message) == {
        "id": "1",
        "seq": 7,
        "room": "lobby",
        "from": {"id": "ann", "name": "Ann"},
        "text": "hi",
        "sentAt": "2026-11-22T15:04:05.123Z",
    }


def test_a_reply_names_the_message_it_answers() -> None:
    message = Message("1", 7, "lobby", Author("ann", "Ann"), "hi", "", nonce="n", reply_to="0", data=[1])
    assert {"nonce": "n", "replyTo": "0", "data": [1]}.items() <= msgspec.to_builtins(message).items()


def test_a_notification_shows_all_of_its_fields() -> None:
    note = Notification("1", 1, "order", "shipped", None, "2026-11-22T15:04:05.123Z", read=False, seen=False, count=1)
    fields = {"id", "seq", "type", "message", "data", "createdAt", "read", "seen", "count"}
    assert set(msgspec.to_builtins(note)) == fields
    grouped = msgspec.structs.replace(note, group_key="g", room="r", expires_at=iso(0), muted=True)
    assert set(msgspec.to_builtins(grouped)) == fields | {"groupKey", "room", "expiresAt", "muted"}


def test_a_summary_shows_that_there_is_no_last_message() -> None:
    summary = msgspec.to_builtins(RoomSummary("lobby", 0, None, 0))
    nothing = {"lastMessage": None, "meta": None, "policy": None}
    assert summary == {"room": "lobby", "unread": 0, "lastRead": 0, "mentions": 0, "rev": 0, **nothing}


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_795_359_845_007) == "2026-11-22T15:04:05.007Z"


def test_times_are_read_as_they_are_written_and_in_other_zones() -> None:
    for ms in (0, 7, 1_795_359_845_007, 253_402_300_799_999):
        assert from_iso(iso(ms)) == ms
    assert from_iso("1970-01-01T01:00:00+01:00") == from_iso("1970-01-01T00:00:00") == 0
