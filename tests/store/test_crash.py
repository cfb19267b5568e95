"""kill -9 during writes: no acked message is lost."""

import asyncio
import os
import sys

from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from tests.store.conftest import OpenDatabase

WRITER = """
import asyncio, os, sys
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft

async def one(messages, name):
    for i in range(100_000):
        message, _ = await messages.append(Draft("lobby", Author(name, name), "x" * 200, nonce=str(i)))
        os.write(1, f"{message.id}\\n".encode())

async def main():
    messages = Messages(Database(os.environ["STORE_URL"]))
    await messages.start()
    await asyncio.gather(*(one(messages, f"user{n}") for n in range(20)))

asyncio.run(main())
"""


async def test_every_acked_message_survives_kill_9(
    db: Database, open_database: OpenDatabase, database_url: str
) -> None:
    acked: list[str] = []
    for killed_after in (50, 300):
        acked += await write_and_die(database_url, killed_after)
    messages = Messages(await open_database())
    saved, more = await messages.history("lobby", before=None, after=None, limit=10_000)
    assert not more
    assert set(acked) <= {m.id for m in saved}
    assert [m.seq for m in saved] == list(range(1, len(saved) + 1))


async def write_and_die(url: str, killed_after: int) -> list[str]:
    """The ids that the process printed before it was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, env=os.environ | {"STORE_URL": url}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told = [await process.stdout.readline() for _ in range(killed_after)]
    process.kill()
    told += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in told if line.endswith(b"\n")]
