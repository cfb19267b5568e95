"""Benchmark of search: pages of the newest matches among a million messages, by the store alone, on both databases.

    .venv/bin/python benchmarks/search.py [--messages 1000000] [--databases sqlite,postgres]

Half of the messages are in one huge room, the others in 490 rooms; besides there are a room of long messages and one of
Chinese. Each kind of query runs `--times` times, one after the other. Then `CROWD` users search at once, while pages of
history are read: those must not wait. Prints a table of milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa
from rig.durable.databases import database
from rig.figures import number, quantile
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import EventError
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.search import Search
from rtserver.store.messages.search_tokens import text_columns
from rtserver.store.schema import members, messages, rooms

SMALL_ROOMS = 490
LONG, LONG_LETTERS = 500, 10_000
CHINESE = 20_000
CROWD = 50
BATCH = 50_000
# Each word stands in one of as many messages as its number says; `many` and `elsewhere` never stand together.
TEXT = (
    "'the quick brown fox of ' || CASE WHEN n % 3 = 0 THEN 'third ' ELSE '' END"
    " || CASE WHEN n % 100 = 0 THEN 'hundred ' ELSE '' END || CASE WHEN n % 1000 = 0 THEN 'thousand ' ELSE '' END"
    " || CASE WHEN n % 2 = 0 THEN 'even ' ELSE 'odd ' END || CASE WHEN n < {half} THEN 'early ' ELSE '' END"
    " || CASE WHEN n = {half} THEN 'needle ' ELSE '' END || '{mark} word' || (n * 7919 % 50021) || ' number' || n"
)
COLUMNS = "INSERT INTO messages (room, seq, id, author_id, author_name, text, sent_at) "


class Query(NamedTuple):
    """A kind of query, in `room` or in all rooms of the user."""

    kind: str
    text: str
    room: str | None = "huge"


QUERIES = (
    Query("in every message", "the"),
    Query("in a third", "third"),
    Query("in one of 100", "hundred"),
    Query("in one of 1,000", "thousand"),
    Query("once", "needle"),
    Query("never", "nothing"),
    Query("once and in every message", "the needle"),
    Query("two that never meet", "even odd"),
    Query("in every message of other rooms", "elsewhere"),
    Query("in the older half only", "early"),
    Query("a prefix of half a million words", "num"),
    Query("one letter", "q"),
    Query("quotes and operators", '"the" AND (fox OR -needle*) NEAR/2 <-> :*'),
    Query("an emoji", "👍 the"),
    Query("long messages, a rare word", "rare", "long"),
    Query("long messages, a frequent word", "w17", "long"),
    Query("long messages, a prefix", "w1", "long"),
    Query("Chinese, two letters", "去北", "chinese"),
    Query("Chinese, one letter", "去", "chinese"),
    Query("Chinese, 200 letters", "去北京" * 66, "chinese"),
    Query("one letter 200 times", "哈" * 200, "chinese"),
    Query("all rooms, in every message", "the", None),
    Query("all rooms, in one of 1,000", "thousand", None),
    Query("all rooms, once", "needle", None),
    Query("all rooms, never", "nothing", None),
    Query("all small rooms, in every other room", "many", "small"),
)


async def fill(db: Database, count: int) -> None:
    """Insert by SQL, a batch in a transaction; the rows are those of `append`."""
    huge, small = count // 2, count // 2 // SMALL_ROOMS
    names = {"huge": huge, **{f"small{at}": small for at in range(SMALL_ROOMS)}, "long": LONG, "chinese": CHINESE}
    async with db.transaction() as connection:
        row = [{"room": name, "last_seq": last, "active_at": at} for at, (name, last) in enumerate(names.items())]
        await connection.execute(sa.insert(rooms), row)
        everything = [("ann", name) for name in names]
        everything += [("bob", name) for name in names if name.startswith("small")]
        everything += [(f"user{at}", name) for at in range(CROWD) for name in ("huge", "long", "chinese")]
        joined = [{"room": name, "user_id": user, "name": user, "joined_at": 0} for user, name in everything]
        await connection.execute(sa.insert(members), joined)
    chooser = random.Random(12)
    for first in range(1, count // 2 + 1, BATCH):
        last = min(first + BATCH - 1, count // 2)
        async with db.transaction() as connection:
            await insert(connection, first, last, "'huge'", "n", "0", TEXT.format(half=huge // 2, mark="many"))
            room, seq = f"'small' || (n % {SMALL_ROOMS})", f"(n - 1) / {SMALL_ROOMS} + 1"
            await insert(connection, first, last, room, seq, "1", TEXT.format(half=0, mark="elsewhere"))
    async with db.transaction() as connection:
        words = [f"w{number}" for number in range(5000)]
        long = [" ".join(chooser.choices(words, k=LONG_LETTERS // 5)) for _ in range(LONG)]
        long[100] += " rare"
        await connection.execute(sa.insert(messages), [said("long", at, text) for at, text in enumerate(long, 1)])
        letters = [chr(0x4E00 + at) for at in range(300)] + list("去北京")
        chinese = [
            "".join(chooser.choices(letters, k=30)) + ("去北京" if at % 50 == 0 else "") for at in range(CHINESE)
        ]
        chinese[:50] = ["哈" * LONG_LETTERS] * 50
        await connection.execute(sa.insert(messages), [said("chinese", at, text) for at, text in enumerate(chinese, 1)])
    if connection.dialect.name != "sqlite":
        async with db.transaction() as connection:
            await connection.execute(sa.text("ANALYZE"))


async def insert(
    connection: AsyncConnection, first: int, last: int, room: str, seq: str, letter: str, text: str
) -> None:
    if connection.dialect.name == "sqlite":
        numbers = f"WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last}) "
        source, padded = "s", "printf('%024d', n)"
        sql = f"{numbers}{COLUMNS}SELECT {room}, {seq}, '{letter}v' || {padded}, 'ann', 'Ann', {text}, n FROM {source}"
    else:
        source, padded = f"generate_series({first}, {last}::bigint) AS s(n)", "lpad(n::text, 24, '0')"
        sql = f"{COLUMNS}SELECT {room}, {seq}, '{letter}v' || {padded}, 'ann', 'Ann', {text}, n FROM {source}"
    await connection.exec_driver_sql(sql)


def said(room: str, seq: int, text: str) -> dict[str, object]:
    id_ = f"{room[0].replace('l', 'k')}v{seq:024}"
    return {
        "room": room,
        "seq": seq,
        "id": id_,
        "author_id": "ann",
        "author_name": "Ann",
        "sent_at": seq,
    } | text_columns(text)


async def took(call: Callable[[], Awaitable[object]]) -> tuple[float, str]:
    """Milliseconds, and the code of an error."""
    start, code = time.perf_counter(), ""
    try:
        await call()
    except EventError as error:
        code = error.code
    return (time.perf_counter() - start) * 1000, code


async def one_kind(search: Search, query: Query, times: int) -> list[str]:
    user, room = ("bob", None) if query.room == "small" else ("ann", query.room)
    found = 0

    async def ask() -> None:
        nonlocal found
        found = len((await search.find(user, query.text, room=room))[0])

    results = [await took(ask) for _ in range(times)]
    codes = ",".join(sorted({code for _, code in results if code}))
    sorted_ms = sorted(ms for ms, _ in results)
    return [query.kind, str(found), *(number(quantile(sorted_ms, share)) for share in (0.5, 0.99, 1.0)), codes]


async def crowd(db: Database, search: Search, seconds: float) -> tuple[list[float], list[float], int]:
    """History while `CROWD` users search all the time: milliseconds of its pages, of searches, and refused searches."""
    store, pages, searched, refused = Messages(db), [], [], 0
    end = time.perf_counter() + seconds

    async def keep_searching(user: int) -> None:
        nonlocal refused
        pick = random.Random(user)
        while time.perf_counter() < end:
            query = pick.choice(QUERIES)
            ms, code = await took(partial(search.find, f"user{user}", query.text, room=query.room))
            refused += bool(code)
            searched.append(ms)
            if code:
                await asyncio.sleep(0.05)

    crowd = [asyncio.create_task(keep_searching(user)) for user in range(CROWD)]
    while time.perf_counter() < end:
        ms, _ = await took(lambda: store.history("huge", limit=50))
        pages.append(ms)
        await asyncio.sleep(0.01)
    await asyncio.gather(*crowd)
    return sorted(pages), sorted(searched), refused


async def measure(kind: str, url: str, options: argparse.Namespace) -> None:
    db = Database(url, timeout=120)
    await db.connect()
    await db.migrate()
    start = time.perf_counter()
    await fill(db, options.messages)
    print(f"\n{kind}: {options.messages:,} messages, filled in {time.perf_counter() - start:.0f} s\n")
    print(f"| {'query':40} | found |    p50 |    p99 |    max | error |\n|---|--:|--:|--:|--:|---|")
    search = Search(db)
    for query in QUERIES:
        kind_, found, *figures, code = await one_kind(search, query, options.times)
        print(
            f"| {kind_:40} | {found:>5} | " + " | ".join(f"{figure:>6}" for figure in figures) + f" | {code} |",
            flush=True,
        )
    pages, searched, refused = await crowd(db, search, options.seconds)
    print(
        f"\n{CROWD} searching at once, {len(searched)} searches, {refused} refused. In milliseconds: history"
        f" p50 {number(quantile(pages, 0.5))}, p99 {number(quantile(pages, 0.99))}, max {number(pages[-1])};"
        f" search p50 {number(quantile(searched, 0.5))}, p99 {number(quantile(searched, 0.99))}"
    )
    await db.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=30, help="of each kind of query (30)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the crowd (10)")
    parser.add_argument("--databases", default="sqlite,postgres")
    options = parser.parse_args()
    for kind in options.databases.split(","):
        with database(kind, 1) as url:
            asyncio.run(measure(kind, url, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
