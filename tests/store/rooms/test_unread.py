"""Unread counts; on both databases."""

from rtserver.store.messages.changes import Delete
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member, Message
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_store import Rooms

ANN, BOB = Member("ann", "Ann"), Author("bob", "Bob")


async def said(messages: Messages, text: str = "hi", *mentions: str, author: Author = BOB) -> Message:
    return (await messages.append(Draft("lobby", author, text, mentions=list(mentions) or None)))[0]


async def unread(rooms: Rooms, user: str = "ann") -> tuple[int, int]:
    """Unread messages and mentions, which are equal in read states and summaries."""
    [summary], _ = await rooms.summaries(user)
    standing = (await rooms.read_states(user, ["lobby"]))["lobby"]
    assert (standing.unread, standing.mentions) == (summary.unread, summary.mentions)
    return summary.unread, summary.mentions


async def test_deleted_messages_are_not_unread(rooms: Rooms, messages: Messages, receipts: ReadCursors) -> None:
    await rooms.join("lobby", ANN)
    sent = [await said(messages, str(number)) for number in range(6)]
    await receipts.mark_read("lobby", "ann", 2)
    for message in (sent[0], sent[3], sent[5]):
        await messages.change(Delete("lobby", message.id, "bob", False))
    assert await unread(rooms) == (2, 0)
    [summary], _ = await rooms.summaries("ann")
    assert summary.last_message is not None
    assert (summary.last_message.text, summary.last_message.deleted_by, summary.rev) == ("", "bob", 3)
    await receipts.mark_read("lobby", "ann", 6)
    assert await unread(rooms) == (0, 0)


async def test_unread_mentions_are_counted_per_user(rooms: Rooms, messages: Messages, receipts: ReadCursors) -> None:
    for user in ("ann", "Ann", 'a"nn', "an", "ännchen"):
        await rooms.join("lobby", Member(user, user))
    await said(messages, "1", "ann", "bob")
    await said(messages, "2", "ännchen", 'a"nn')
    gone = await said(messages, "3", "ann")
    await said(messages, "4", "bob", "ann")
    await messages.change(Delete("lobby", gone.id, "bob", False))
    found = {user: await unread(rooms, user) for user in ("ann", "Ann", 'a"nn', "an", "ännchen")}
    assert found == {"ann": (3, 2), "Ann": (3, 0), 'a"nn': (3, 1), "an": (3, 0), "ännchen": (3, 1)}
    await receipts.mark_read("lobby", "ann", 1)
    assert await unread(rooms) == (2, 1)
    await said(messages, "5", author=Author("ann", "Ann"))
    assert await unread(rooms) == (0, 0)


async def test_own_messages_in_other_rooms_do_not_count(rooms: Rooms, messages: Messages) -> None:
    for room in ("lobby", "busy"):
        await rooms.join(room, ANN)
    for _ in range(5):
        await messages.append(Draft("busy", Author("ann", "Ann"), "mine"))
    gone = await said(messages, "1", "ann")
    await said(messages, "2", "ann")
    await messages.change(Delete("lobby", gone.id, "bob", False))
    found = {summary.room: (summary.unread, summary.mentions) for summary in (await rooms.summaries("ann"))[0]}
    assert found == {"lobby": (1, 1), "busy": (0, 0)}
    standings = await rooms.read_states("ann", ["lobby", "busy"])
    assert {room: (one.unread, one.mentions) for room, one in standings.items()} == found


async def test_read_state_without_membership_and_of_a_missing_room(rooms: Rooms, messages: Messages) -> None:
    await said(messages)
    found = await rooms.read_states("stranger", ["lobby", "nowhere"])
    assert list(found) == ["lobby"]
    assert (found["lobby"].member, found["lobby"].last_seq, found["lobby"].unread) == (False, 1, 1)
    await rooms.join("lobby", ANN)
    assert (await rooms.read_states("ann", ["lobby"]))["lobby"].member
    assert await rooms.read_states("ann", []) == {}
