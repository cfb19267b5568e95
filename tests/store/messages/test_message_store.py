"""The message store: gapless numbers, replays, pages, hostile values; on both databases."""

import asyncio
import re
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtserver.answer_size import ANSWER_BYTES, size_of
from rtserver.errors import EventError, InvalidPayload, Unavailable
from rtserver.store.db.database import Database
from rtserver.store.messages.append import message_of
from rtserver.store.messages.changes import Edit, React
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Message
from tests.store.conftest import OpenDatabase, OpenMessages
from tests.store.db.test_column_types import ANY_TEXT

ANN, BOB = Author("ann", "Ann"), Author("bob", "Bob")


def draft(text: str = "hi", *, room: str = "lobby", author: Author = ANN, nonce: str | None = None) -> Draft:
    return Draft(room, author, text, nonce=nonce)


async def everything(messages: Messages, room: str = "lobby") -> list[Message]:
    return (await messages.history(room, before=None, after=None, limit=10_000))[0]


async def test_a_saved_message_reads_back_as_it_was_returned(messages: Messages) -> None:
    wanted = Draft("lobby", ANN, "héllo 👋\n", nonce="n1", reply_to="x", data={"a": [1, None, "\0"]})
    message, new = await messages.append(wanted)
    assert new
    assert (message.seq, message.room, message.from_, message.text) == (1, "lobby", ANN, "héllo 👋\n")
    assert (message.nonce, message.reply_to, message.data) == ("n1", "x", {"a": [1, None, "\0"]})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.sent_at)
    assert await everything(messages) == [message]


async def test_each_room_has_its_own_numbers(messages: Messages) -> None:
    saved = await asyncio.gather(*(messages.append(draft(room=f"r{i % 3}")) for i in range(30)))
    for room in ("r0", "r1", "r2"):
        assert [m.seq for m, _ in saved if m.room == room] == list(range(1, 11))


async def test_two_servers_number_a_room_without_gaps_or_duplicates(
    open_database: OpenDatabase, open_messages: OpenMessages
) -> None:
    servers = [await open_messages(await open_database()) for _ in range(2)]
    rooms = ["a", "b", "c"]
    saved = await asyncio.gather(
        *(servers[i % 2].append(draft(str(i), room=rooms[i // 2 % 3], nonce=str(i))) for i in range(200))
    )
    assert all(new for _, new in saved)
    for room in rooms:
        found = await everything(servers[0], room)
        assert [m.seq for m in found] == list(range(1, len(found) + 1))
        assert sorted(m.id for m in found) == sorted(m.id for m, _ in saved if m.room == room)


async def test_a_hundred_at_once_share_commits(db: Database, messages: Messages) -> None:
    before = db.commits
    await asyncio.gather(*(messages.append(draft(str(i))) for i in range(100)))
    assert db.commits - before <= 2


async def test_a_repeated_nonce_returns_the_first_message(messages: Messages) -> None:
    first, new = await messages.append(draft("one", nonce="n"))
    again, new_again = await messages.append(draft("two", nonce="n"))
    assert (new, new_again, again) == (True, False, first)
    following, _ = await messages.append(draft("three"))
    assert following.seq == 2, "a replay takes no number"


async def test_a_nonce_twice_in_one_commit_is_one_message(db: Database, messages: Messages) -> None:
    before = db.commits
    answers = await asyncio.gather(*(messages.append(draft(str(i), nonce="n")) for i in range(20)))
    assert db.commits - before <= 2
    assert [new for _, new in answers] == [True] + [False] * 19
    assert {m.id for m, _ in answers} == {answers[0][0].id}
    assert len(await everything(messages)) == 1


async def test_a_nonce_belongs_to_one_author_in_one_room(messages: Messages) -> None:
    drafts = [draft(nonce="n"), draft(nonce="n", author=BOB), draft(nonce="n", room="other"), draft(), draft()]
    assert all([(await messages.append(d))[1] for d in drafts])


async def test_a_nonce_is_known_after_a_restart(
    messages: Messages, open_database: OpenDatabase, open_messages: OpenMessages
) -> None:
    first, _ = await messages.append(draft(nonce="n"))
    await messages.stop()
    restarted = await open_messages(await open_database())
    assert await restarted.append(draft("other", nonce="n")) == (first, False)


async def test_a_nonce_sent_to_two_servers_at_once_is_one_message(
    open_database: OpenDatabase, open_messages: OpenMessages
) -> None:
    servers = [await open_messages(await open_database()) for _ in range(2)]
    for i in range(20):
        (one, new_one), (two, new_two) = await asyncio.gather(*(s.append(draft(nonce=f"n{i}")) for s in servers))
        assert one == two
        assert {new_one, new_two} == {True, False}
        assert one.seq == i + 1


async def test_pages_in_both_directions_contain_every_message_once(messages: Messages) -> None:
    await asyncio.gather(*(messages.append(draft(str(i))) for i in range(250)))
    back: list[Message] = []
    before, more = None, True
    while more:
        page, more = await messages.history("lobby", before=before, after=None, limit=100)
        assert [m.seq for m in page] == sorted(m.seq for m in page)
        back, before = page + back, page[0].seq
    forwards: list[Message] = []
    after, more = 0, True
    while more:
        page, more = await messages.history("lobby", before=None, after=after, limit=100)
        forwards, after = forwards + page, page[-1].seq
    assert [m.seq for m in back] == [m.seq for m in forwards] == list(range(1, 251))


async def test_more_is_about_the_requested_direction(messages: Messages) -> None:
    await asyncio.gather(*(messages.append(draft(str(i))) for i in range(10)))

    async def page(before: int | None, after: int | None, limit: int) -> tuple[list[int], bool]:
        found, more = await messages.history("lobby", before=before, after=after, limit=limit)
        return [m.seq for m in found], more

    assert await page(None, None, 3) == ([8, 9, 10], True)
    assert await page(None, None, 10) == (list(range(1, 11)), False)
    assert await page(4, None, 3) == ([1, 2, 3], False)
    assert await page(5, None, 3) == ([2, 3, 4], True)
    assert await page(None, 7, 3) == ([8, 9, 10], False)
    assert await page(None, 6, 3) == ([7, 8, 9], True)
    assert await page(8, 2, 3) == ([3, 4, 5], True)
    assert await page(1, None, 3) == ([], False)
    assert await page(None, 10, 3) == ([], False)


async def test_a_room_without_messages_is_empty(messages: Messages) -> None:
    assert await messages.history("nowhere", before=None, after=None, limit=50) == ([], False)


@pytest.mark.parametrize(
    ("before", "after", "limit"),
    [(None, None, 0), (None, None, -1), (None, None, 2**70), (-1, None, 5), (None, -1, 5), (2**63, None, 5),
     (None, 2**64, 5), (10**300, None, 5)],
)  # fmt: skip
async def test_an_invalid_page_is_rejected(
    messages: Messages, before: int | None, after: int | None, limit: int
) -> None:
    with pytest.raises(InvalidPayload):
        await messages.history("lobby", before=before, after=after, limit=limit)


async def test_a_page_at_the_limit_of_64_bits_is_valid(messages: Messages) -> None:
    message, _ = await messages.append(draft())
    assert await messages.history("lobby", before=2**63 - 1, after=None, limit=5) == ([message], False)
    assert await messages.history("lobby", before=0, after=None, limit=5) == ([], False)
    assert await messages.history("lobby", before=None, after=2**63 - 1, limit=5) == ([], False)


@pytest.mark.parametrize("room", ["a\0b", "\ud800", "x" * 5_000])
async def test_an_invalid_room_is_rejected_and_is_no_database_failure(messages: Messages, room: str) -> None:
    with pytest.raises(InvalidPayload):
        await messages.history(room, before=None, after=None, limit=5)
    with pytest.raises(InvalidPayload):
        await messages.append(draft(room=room))


async def test_one_invalid_message_among_many_fails_alone(messages: Messages) -> None:
    texts = ["fine"] * 20 + ["bad\0"] + ["fine"] * 20 + ["bad\ud800"]
    answers = await asyncio.gather(*(messages.append(draft(t)) for t in texts), return_exceptions=True)
    refused = [text for text, answer in zip(texts, answers, strict=True) if isinstance(answer, InvalidPayload)]
    assert refused == ["bad\0", "bad\ud800"]
    assert [m.seq for m in await everything(messages)] == list(range(1, 41))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.lists(st.tuples(ANY_TEXT, ANY_TEXT, st.none() | ANY_TEXT), max_size=8))
async def test_any_input_is_saved_or_rejected_and_is_no_database_failure(
    messages: Messages, garbage: list[tuple[str, str, str | None]]
) -> None:
    """For any text, name and nonce: no `Unavailable`, no gap, and every acked message is saved."""
    drafts = [draft(text, author=Author("ann", name), nonce=nonce) for text, name, nonce in garbage]
    answers = await asyncio.gather(*(messages.append(d) for d in drafts), return_exceptions=True)
    assert all(isinstance(answer, tuple | InvalidPayload) for answer in answers), answers
    saved = {m.id: m for m in await everything(messages)}
    assert [m.seq for m in saved.values()] == list(range(1, len(saved) + 1))
    for message, _ in (answer for answer in answers if isinstance(answer, tuple)):
        assert saved[message.id] == message


async def test_sql_in_a_text_is_just_text(messages: Messages) -> None:
    texts = ["'; DROP TABLE messages; --", '"', "%s %(x)s :name ? $1", "\\", "{}"]
    for text in texts:
        await messages.append(draft(text, nonce=text))
    assert [m.text for m in await everything(messages)] == texts


async def test_before_start_and_after_stop_messages_are_rejected(db: Database) -> None:
    messages = Messages(db)
    with pytest.raises(Unavailable):
        await messages.append(draft())
    await messages.start()
    await messages.append(draft())
    await messages.stop()
    with pytest.raises(Unavailable):
        await messages.append(draft())


async def test_a_cancelled_sender_does_not_affect_the_others(messages: Messages) -> None:
    tasks = [asyncio.create_task(messages.append(draft(str(i)))) for i in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [a for a in answers if isinstance(a, EventError)]
    acked = [a[0].seq for a in answers if isinstance(a, tuple)]
    saved = [m.seq for m in await everything(messages)]
    assert saved == list(range(1, len(saved) + 1))
    assert set(acked) <= set(saved)


async def pages(messages: Messages, *, forwards: bool, limit: int = 100) -> list[list[Message]]:
    """All pages of the lobby from one end to the other."""
    found: list[list[Message]] = []
    more, position = True, 0 if forwards else None
    while more:
        direction = {"after": position, "before": None} if forwards else {"before": position, "after": None}
        page, more = await messages.history("lobby", limit=limit, **direction)
        found.append(page)
        assert page, "a page that is not the last one is not empty"
        position = page[-1].seq if forwards else page[0].seq
    return found


TEXTS = {
    "wide": lambda number: "👋" * 10_000,
    "escaped": lambda number: "\n" * 20_000 + "x",
    "larger than an answer": lambda number: "x" * 600_000 if number % 7 == 3 else "x" * 100_000,
}


@pytest.mark.parametrize("texts", list(TEXTS))
async def test_a_page_ends_at_the_bytes_of_an_answer(messages: Messages, texts: str) -> None:
    saved = await asyncio.gather(*(messages.append(draft(TEXTS[texts](number))) for number in range(30)))
    for forwards in (True, False):
        found = await pages(messages, forwards=forwards)
        assert len(found) > 1
        for page in found:
            assert size_of(page) <= ANSWER_BYTES or len(page) == 1
        in_order = found if forwards else found[::-1]
        assert [message for page in in_order for message in page] == [message for message, _ in saved]


async def test_changes_end_at_the_bytes_of_an_answer(messages: Messages) -> None:
    sent = await asyncio.gather(*(messages.append(draft("x" * 40_000)) for _ in range(30)))
    edits = [Edit("lobby", message.id, "ann", False, "y" * 40_000) for message, _ in sent]
    await asyncio.gather(*map(messages.change, edits))
    rev, more, seen = 0, True, []
    while more:
        page, more = await messages.changed("lobby", rev=rev, upto=30, limit=100)
        assert 0 < size_of(page) <= ANSWER_BYTES
        seen += page
        rev = page[-1].rev or 0
    assert [message.seq for message in seen] == list(range(1, 31))


async def test_data_mentions_and_reactions_count(messages: Messages) -> None:
    wide = ["👋" * 190 + str(number) for number in range(10)]
    full = Draft("lobby", ANN, "hi", data={"a": "x" * 15_000}, mentions=wide)
    await asyncio.gather(*(messages.append(full) for _ in range(40)))
    reacted, _ = await messages.append(draft("last"))
    reactions = [React("lobby", reacted.id, user, emoji, True) for user in wide for emoji in "abcdefghij"]
    await asyncio.gather(*map(messages.change, reactions))
    found = await pages(messages, forwards=True)
    assert sum(map(len, found)) == 41
    assert all(size_of(page) <= ANSWER_BYTES for page in found)
    assert sum(reaction.count for reaction in found[-1][-1].reactions or ()) == 100


async def test_rows_beyond_an_answer_are_not_loaded(messages: Messages, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.gather(*(messages.append(draft("x" * 50_000)) for _ in range(60)))
    loaded: list[Message] = []

    def counted(row: Sequence[object]) -> Message:
        loaded.append(message_of(row))
        return loaded[-1]

    monkeypatch.setattr("rtserver.store.messages.pages.message_of", counted)
    page, more = await messages.history("lobby", limit=50)
    assert (len(page), more) == (10, True)
    assert len(loaded) == 10
    page, more = await messages.history("lobby", limit=50, size=1000, oversized=False)
    assert (page, more, len(loaded)) == ([], True, 10)
    page, more = await messages.history("lobby", limit=50, size=1000)
    assert (len(page), more, len(loaded)) == (1, True, 11)
