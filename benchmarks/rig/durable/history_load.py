"""Benchmark of history: pages of 50 messages of one long room, read by the store alone.

    python -m rig.durable.history_load MESSAGES < URL

Pages are read one after the other: some from the end, some before and after cursors anywhere. Each is checked. Writes
one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

import sqlalchemy as sa

from rig.figures import quantile
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.schema import messages, rooms

ROOM = "long"
PAGE = 50
PAGES = 3000
BATCH = 20_000
TEXT = "A message of the usual length, as people write them to one another. "


async def fill(db: Database, count: int) -> None:
    """Insert rows like those of `append`, many at a time."""
    async with db.transaction() as connection:
        await connection.execute(sa.insert(rooms).values(room=ROOM, last_seq=count, active_at=count))
    for first in range(1, count + 1, BATCH):
        async with db.transaction() as connection:
            await connection.execute(
                sa.insert(messages),
                [
                    {
                        "room": ROOM,
                        "seq": seq,
                        "id": f"m{seq:09}",
                        "author_id": f"user{seq % 100}",
                        "author_name": f"User {seq % 100}",
                        "text": f"{TEXT}{seq}",
                        "sent_at": 1_790_000_000_000 + seq,
                    }
                    for seq in range(first, min(first + BATCH, count + 1))
                ],
            )


async def main(url: str, count: int) -> None:
    db = Database(url, timeout=120)
    await db.connect()
    await db.migrate()
    await fill(db, count)
    store = Messages(db)
    pick = random.Random(20)
    wrong = 0
    took: list[float] = []
    for number in range(PAGES + 100):
        cursor = pick.randrange(PAGE + 1, count - PAGE)
        before, after = [(None, None), (cursor, None), (None, cursor)][number % 3]
        start = time.perf_counter()
        page, more = await store.history(ROOM, before=before, after=after, limit=PAGE)
        took.append((time.perf_counter() - start) * 1000)
        first = cursor + 1 if after is not None else (cursor if before is not None else count + 1) - PAGE
        wrong += [message.seq for message in page] != list(range(first, first + PAGE)) or not more
    await db.close()
    warm = sorted(took[100:])
    result = {"ok": not wrong, "wrong": wrong, "messages": count, "pages": PAGES}
    print(json.dumps(result | {"p50_ms": quantile(warm, 0.5), "p99_ms": quantile(warm, 0.99), "max_ms": warm[-1]}))


if __name__ == "__main__":
    asyncio.run(main(sys.stdin.read().strip(), int(sys.argv[1])))
