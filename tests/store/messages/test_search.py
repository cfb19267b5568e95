"""Full-text search in the rooms of a user; on both databases."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from rtserver.errors import InvalidPayload, RateLimited, TimedOut
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import EXPENSIVE_CONNECTIONS
from rtserver.store.messages import search_postgres
from rtserver.store.messages.changes import Delete, Edit
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member, Message
from rtserver.store.messages.search import MAX_ROOMS, Search
from rtserver.store.messages.search_postgres import FEW, MOST, NEWEST
from rtserver.store.messages.search_words import MAX_TOKENS, MAX_WORDS, words_of
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import messages as table

ANN, BOB = Author("ann", "Ann"), Author("bob", "Bob")
HOSTILE = [
    '"', "'", "\\", '""', "a\"b", "(", ")", "((((", "*", "**", "a*", "^a", "a AND", "AND", "OR OR", "NOT", "NEAR(a b)",
    "NEAR/2", "text:a", "room:lobby", "room : (x)", "{a b}: c", "- a", "-a", "+a", "a & | !", ":*", "a:*", "<->",
    "a <-> b",
    "%", "_", "'; DROP TABLE messages; --", "\u200b", "👍", "!!!", " ", "--", "/*", "$1", ":match", "%(x)s", "?",
    "a" * 10_000, "a " * 5_000, "\ufeff", "\x01\x02", "é́", "हिन्दी", "'a':*", "\\'", "a\\", "a'b",
]  # fmt: skip


@pytest.fixture
def search(db: Database) -> Search:
    return Search(db)


async def said(messages: Messages, text: str, room: str = "lobby") -> Message:
    return (await messages.append(Draft(room, BOB, text)))[0]


@pytest.fixture(autouse=True)
async def ann_is_a_member(rooms: Rooms) -> None:
    await rooms.join("lobby", Member("ann", "Ann"))


async def texts(search: Search, query: str, user: str = "ann", **options: Any) -> list[str]:
    return [message.text for message in (await search.find(user, query, **options))[0]]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Hello, World!", "world"),
        ("Hello, World!", "WORLD hello"),
        ("Hello, World!", "wor"),
        ("Grüße aus Köln", "köln"),
        ("mail me: bob@example.com", "example"),
        ("mail me: bob@example.com", "bob@example.com"),
        ("see https://example.com/a/b?c=d#e", "example.com/a"),
        ("snake_case and kebab-case", "case snake"),
        ("<b>bold</b> &amp; more", "bold more"),
        ("version 1.2.3", "1.2"),
        ("it's", "it's"),
        ("日本 と 中国", "中国"),
        ("我们今天去北京。", "今天"),
        ("我们今天去北京。", "北京 我们"),
        ("東京タワーに行く", "タワー"),
        ("新しいiPhoneを買った", "iPhone"),
        ("新しいiPhoneを買った", "いiPho"),
        ("안녕하세요 여러분", "하세요"),
        ("ไปเที่ยวกันไหม", "เที่ยว"),
        ("ភាសាខ្មែរ", "ខ្មែរ"),
    ],
)
async def test_messages_are_found_by_their_words(search: Search, messages: Messages, text: str, query: str) -> None:
    await said(messages, text)
    await said(messages, "something else")
    assert await texts(search, query) == [text]


async def test_letters_of_scripts_without_spaces_match_in_a_row(search: Search, messages: Messages) -> None:
    said_last = await said(messages, "东京没有北海")
    await said(messages, "北方很冷")
    assert await texts(search, "北京") == []
    assert await texts(search, "北") == ["北方很冷", "东京没有北海"]
    assert await texts(search, "京北") == []
    assert await texts(search, "京 没 海") == ["东京没有北海"]
    assert await texts(search, "有京没") == []
    await messages.change(Edit("lobby", said_last.id, "bob", False, "南京"))
    assert (await texts(search, "东京"), await texts(search, "南京")) == ([], ["南京"])
    await messages.change(Delete("lobby", said_last.id, "bob", False))
    assert await texts(search, "京") == []


async def test_all_words_must_occur_and_only_the_last_may_be_a_prefix(search: Search, messages: Messages) -> None:
    await said(messages, "the quick brown fox")
    for query, found in {
        "quick fox": 1, "quick cat": 0, "bro": 1, "bro fox": 0, "fox bro": 1, "fo": 0, "rown": 0
    }.items():  # fmt: skip
        assert len(await texts(search, query)) == found, query


async def test_only_ones_own_rooms_are_searched(search: Search, rooms: Rooms, messages: Messages) -> None:
    await rooms.join("dm:ann:bob", Member("ann", "Ann"))
    for room in ("lobby", "dm:ann:bob", "secret", "dm:bob:eve", "lobby2"):
        await said(messages, f"needle in {room}", room)
    assert await texts(search, "needle") == ["needle in dm:ann:bob", "needle in lobby"]
    assert await texts(search, "needle", room="lobby") == ["needle in lobby"]
    assert await texts(search, "needle", room="secret") == []
    assert await texts(search, "needle", "stranger") == []
    assert await texts(search, b"lobby".hex()) == [], "the name of a room is no word of a text"
    await rooms.leave("lobby", "ann")
    assert await texts(search, "needle") == ["needle in dm:ann:bob"]


async def test_deleted_messages_are_not_found_and_edited_ones_by_their_new_text(
    db: Database, search: Search, messages: Messages
) -> None:
    first, second, third = [await said(messages, f"apple {number}") for number in range(3)]
    await messages.change(Edit("lobby", first.id, "bob", False, "pear"))
    await messages.change(Delete("lobby", second.id, "bob", False))
    assert await texts(search, "apple") == ["apple 2"]
    assert await texts(search, "pear") == ["pear"]
    for _ in range(3):
        await messages.change(Edit("lobby", first.id, "bob", False, "pear again"))
        await messages.change(Edit("lobby", first.id, "bob", False, "pear"))
    assert (await texts(search, "again"), await texts(search, "pear")) == ([], ["pear"])
    async with db.transaction() as connection:
        await connection.execute(sa.delete(table).where(table.c.id.in_([second.id, third.id])))
    assert await texts(search, "apple") == []
    assert await texts(search, "pear") == ["pear"]
    if db._url.startswith("sqlite"):
        async with db.transaction() as connection:
            await connection.execute(sa.text("INSERT INTO search_words(search_words) VALUES ('integrity-check')"))


async def test_pages_meet_every_message_once_newest_first(search: Search, messages: Messages) -> None:
    await asyncio.gather(*(said(messages, f"number {number}") for number in range(25)))
    seen: list[int] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        found, cursor = await search.find("ann", "number", cursor=cursor, limit=10)
        seen, pages = seen + [message.seq for message in found], pages + 1
        await said(messages, "number of a newcomer")
    assert (seen, pages) == (list(range(25, 0, -1)), 3)


@pytest.mark.parametrize("query", HOSTILE)
async def test_no_query_causes_a_database_failure(search: Search, messages: Messages, query: str) -> None:
    await said(messages, "a plain text")
    assert await texts(search, query) in ([], ["a plain text"])


async def test_forged_cursors_give_no_access(search: Search, rooms: Rooms, messages: Messages) -> None:
    secret = await said(messages, "word", "secret")
    await said(messages, "word")
    for cursor in ("0", "1", secret.id, "9" * 30, "-1", "1e9", "٣", "x", "'", "zzzz", "~", "9223372036854775807"):
        try:
            found = await texts(search, "word", cursor=cursor)
        except InvalidPayload:
            continue
        assert found in ([], ["word"])
    for cursor in ("a\0b", "x", "'", "\u0663", "zzzz"):
        with pytest.raises(InvalidPayload):
            await search.find("ann", "word", cursor=cursor)


async def test_a_user_in_many_rooms_searches_the_last_active_ones(
    search: Search, rooms: Rooms, messages: Messages
) -> None:
    await said(messages, "needle")
    for number in range(MAX_ROOMS + 20):
        await rooms.join(f"r{number}", Member("ann", "Ann"))
    await said(messages, "needle", "r7")
    assert "needle" in await texts(search, "needle")
    assert await texts(search, "needle", room="lobby") == ["needle"]


FILLER = (
    "INSERT INTO messages (room, seq, id, author_id, author_name, text, sent_at)"
    " SELECT '{room}', n, '{letter}' || lpad(n::text, 25, '0'), 'bob', 'Bob', {text}, 1"
    " FROM generate_series({first}, {last}) n"
)


async def fill(db: Database, first: int, last: int, text: str, room: str = "lobby", letter: str = "0") -> None:
    """Postgres: insert messages that are older (`letter` 0) or newer (v) than all others."""
    async with db.transaction() as connection:
        insert = FILLER.format(room=room, letter=letter, first=first, last=last, text=text)
        await connection.exec_driver_sql(insert)
        await connection.exec_driver_sql(f"UPDATE rooms SET last_seq = {last} WHERE room = '{room}'")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_no_search_reads_a_large_table(
    db: Database, search: Search, rooms: Rooms, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the planner believes of a word: rare, frequent, frequent elsewhere, and frequent long ago only."""
    await rooms.join("other", Member("ann", "Ann"))
    await rooms.join("noisy", Member("bob", "Bob"))
    await fill(db, 1, MOST + 500, "'old and common ' || n")
    await fill(db, MOST + 501, 14_500, "'the quick fox ' || CASE WHEN n % 200 = 0 THEN 'sometimes ' ELSE '' END || n")
    await fill(db, 1, 6_000, "'elsewhere the ' || n", "noisy", "1")
    await said(messages, "a needle, once")
    async with db.transaction() as connection:
        await connection.exec_driver_sql("ANALYZE")
    seen: list[tuple[str, Any]] = []
    engine = db._engines.expensive.sync_engine
    listener = lambda _, __, statement, parameters, ___, ____: seen.append((statement, parameters))  # noqa: E731
    sa.event.listen(engine, "before_cursor_execute", listener)
    expected = {
        "a need": 1, "the quick": 20, "the nothing": 0, "elsewhere": 0, "sometimes": 20, "sometimes quick": 20,
        "old common": 20, "the needle": 0, "the": 20, "old quick": 0,
    }  # fmt: skip
    for room, few in (("lobby", FEW), (None, FEW), (None, 0)):
        monkeypatch.setattr(search_postgres, "FEW", few)
        for query, count in expected.items():
            found, following = await search.find("ann", query, room=room)
            assert len(found) == count, (query, room)
            assert [message.seq for message in found] == sorted((message.seq for message in found), reverse=True)
            if following is not None:
                more, _ = await search.find("ann", query, room=room, cursor=following)
                assert more
                assert more[0].seq < found[-1].seq
    sa.event.remove(engine, "before_cursor_execute", listener)
    async with db.reading() as connection:
        await connection.exec_driver_sql("SET enable_seqscan = off")
        for statement, parameters in seen:
            rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", tuple(parameters))
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan on messages" not in plan, plan
            if "hits" in statement:
                assert "ix_messages_search_terms" in plan or "pk_messages" in plan, plan
        await connection.exec_driver_sql("RESET enable_seqscan")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_pages_meet_every_message_once_whatever_way_finds_them(
    db: Database, search: Search, rooms: Rooms, messages: Messages
) -> None:
    await rooms.join("other", Member("ann", "Ann"))
    await fill(db, 1, MOST + 300, "'common ' || n")
    await fill(db, 1, NEWEST, "'something else ' || n", "other", "1")
    for room in ("lobby", None):
        seen: list[int] = []
        cursor, pages = None, 0
        while pages == 0 or cursor is not None:
            found, cursor = await search.find("ann", "common", room=room, cursor=cursor, limit=100)
            seen, pages = seen + [message.seq for message in found], pages + 1
        assert seen == list(range(MOST + 300, 0, -1))


def test_only_words_that_can_be_indexed_are_searched() -> None:
    assert words_of("Hello, (World)! 👍 -- a_b") == [("Hello", False), ("World", False), ("a", False), ("b", False)]
    assert words_of("去 去北京 iPhone手机pro") == [("去", True), ("去北 北京", False), ("iPhone 手机 机 pro", True)]
    assert len(words_of("a " * 100)) == MAX_WORDS


@pytest.mark.parametrize(
    "query",
    [
        "去北京" * 66, "あ" * 200, "안녕하세요" * 40, "เที่ยว" * 33, "a" * 200, "去 " * 100, "去北 " * 66,
        "去北京去北京去北京 " * 20, "a去" * 100, "\U00020000" * 200, "ｱ" * 200,
    ],
)  # fmt: skip
def test_the_tokens_of_a_query_are_bounded(query: str) -> None:
    assert 0 < sum(len(text.split()) for text, _ in words_of(query)) <= MAX_TOKENS


async def test_of_a_long_sentence_without_spaces_the_first_letters_count(search: Search, messages: Messages) -> None:
    sentence = "".join(chr(0x4E00 + number) for number in range(100))
    await said(messages, sentence)
    await said(messages, sentence[::-1])
    assert await texts(search, sentence) == [sentence]
    assert await texts(search, sentence[: MAX_TOKENS + 1] + "去") == [sentence], "what follows is ignored"
    assert await texts(search, "去" + sentence) == []


async def test_of_one_user_one_search_runs_at_a_time(db: Database, search: Search, messages: Messages) -> None:
    await said(messages, "needle")
    answers = await asyncio.gather(*(search.find("ann", "needle") for _ in range(8)), return_exceptions=True)
    kinds = [type(answer) for answer in answers]
    assert kinds == [tuple] * 4 + [RateLimited] * 4
    others = [search.find(f"user{number}", "needle") for number in range(50)]
    assert await asyncio.gather(*others) == [([], None)] * 50, "users do not count for each other"
    assert await texts(search, "needle") == ["needle"]


async def test_a_search_that_takes_too_long_is_stopped_and_delays_nothing_else(
    db: Database, messages: Messages
) -> None:
    await said(messages, "needle")
    blocked = asyncio.Event()
    busy = [asyncio.create_task(db.read_expensive(lambda _: blocked.wait(), 60)) for _ in range(EXPENSIVE_CONNECTIONS)]
    impatient = Search(db, seconds=0.1)
    searches = [asyncio.create_task(impatient.find(f"user{n}", "needle")) for n in range(5)]
    async with asyncio.timeout(10):
        for _ in range(20):
            await db.ping()
            assert len((await messages.history("lobby"))[0]) == 1
        answers = await asyncio.gather(*searches, return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimedOut] * 5
    blocked.set()
    await asyncio.gather(*busy)
    assert await impatient.find("ann", "needle", room="nowhere") == ([], None)
