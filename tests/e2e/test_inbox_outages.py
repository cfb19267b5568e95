"""Durable inbox while Redis is killed, emptied and fails over: entries that it confirmed and kept reach users once."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import aiohttp
import redis.asyncio
import redis.asyncio.sentinel
import sqlalchemy as sa
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from rtserver.store.db.database import Database
from rtserver.store.schema.notifications import notifications
from tests.support.eventually import eventually
from tests.support.process import Processes
from tests.support.redis_server import RedisServer
from tests.support.redis_topologies import Sentinels
from tests.support.rtserver_process import RtServer

STREAM = "rtserver:inbox"
ONCE = Retry(NoBackoff(), 0)
"""What Redis did without an answer, the client must not do again: without a key that would be another entry."""
Start = Callable[..., Awaitable[RtServer]]


class Backend:
    """Adds entries without keys, one after the other; those that Redis does not confirm are dropped.

    `told`: the numbers of the entries that Redis and `copies` replicas have.
    """

    def __init__(self, client: redis.asyncio.Redis, copies: int = 0) -> None:
        self.client, self.copies = client, copies
        self.begun = 0
        self.told: set[int] = set()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        over = asyncio.Event()
        task = asyncio.create_task(self._write(over))
        try:
            yield
        finally:
            over.set()
            await task
            await self.client.connection_pool.disconnect()

    async def _write(self, over: asyncio.Event) -> None:
        while not over.is_set():
            number, self.begun = self.begun, self.begun + 1
            with suppress(RedisError, OSError):
                await self._leave(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.003)

    async def _leave(self, number: int) -> None:
        body = {"user": f"user{number % 5}", "type": "order", "message": str(number)}
        copies = self.copies
        async with asyncio.timeout(2):
            await self.client.xadd(STREAM, {"kind": "notification", "body": json.dumps(body)})
            if await self.client.wait(copies, 1000) >= copies:
                self.told.add(number)

    async def told_more(self, count: int = 50) -> None:
        before = len(self.told)
        await eventually(lambda: len(self.told) >= before + count, seconds=30)


async def delivered_once(database: Database) -> set[int]:
    """Return the entries that reached users; none did so twice."""
    async with database.reading() as connection:
        numbers = list(map(int, (await connection.execute(sa.select(notifications.c.message))).scalars()))
    assert len(numbers) == len(set(numbers))
    return set(numbers)


async def lag(server: RtServer) -> dict[str, float]:
    """Return the metrics of the inbox; None while Redis is down."""
    headers = {"Authorization": f"Bearer {server.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{server.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    told = [line.removeprefix("rtserver_inbox_").split() for line in lines if line.startswith("rtserver_inbox_")]
    return {name: float(value) for name, value in told}


async def test_entries_that_redis_confirmed_and_kept_are_delivered_once_through_a_kill_and_a_flush(
    server: Start, processes: Processes
) -> None:
    kept = RedisServer(processes, "--appendonly", "yes", "--appendfsync", "always")
    kept.start()
    first = await server(REDIS_URL=kept.url)
    second = await server(REDIS_URL=kept.url, DATABASE_URL=first.env["RTSERVER_DATABASE_URL"], migrate=False)
    database = Database(first.env["RTSERVER_DATABASE_URL"])
    async with redis.asyncio.Redis.from_url(kept.url) as client:
        backend = Backend(redis.asyncio.Redis.from_url(kept.url, retry=ONCE))
        async with backend.writing():
            await backend.told_more()
            # Killed while both servers have some in hand, as the database makes them wait.
            other = sqlite3.connect(first.folder / "rtserver.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            await eventually(lambda: _in_hand(client))
            kept.kill()
            for one in (first, second):
                await eventually(lambda one=one: _unknown(one))
            await asyncio.to_thread(kept.start)
            for one in (first, second):
                seen = await eventually(lambda one=one: lag(one))
                assert seen["pending"] > 0
                assert seen["oldest_seconds"] > 0
            other.execute("ROLLBACK")
            other.close()
            await client.connection_pool.disconnect()
            await backend.told_more()
        await eventually(lambda: _is_empty(client), seconds=60)
        assert backend.told <= await delivered_once(database)
        assert not await client.exists(f"{STREAM}:dead")

        async with backend.writing():
            await backend.told_more()
            await client.flushall()
            emptied = backend.begun
            await backend.told_more()
        await eventually(lambda: _is_empty(client), seconds=60)
        assert {number for number in backend.told if number >= emptied} <= await delivered_once(database)
        [group] = await client.xinfo_groups(STREAM)
        assert group["name"] == b"rtserver"
    await database.close()


async def test_entries_on_the_replica_are_delivered_once_after_a_failover(
    server: Start, processes: Processes, postgres_url: str
) -> None:
    """Entries that were done, and whose removal the replica did not get, are recognized by their ids."""
    sentinels = await asyncio.to_thread(Sentinels, processes)
    login, sentinel_login = (quote(each, safe="") for each in (Sentinels.password, Sentinels.sentinel_password))
    url = f"redis+sentinel://:{login}@127.0.0.1:{sentinels.port}/main/0?sentinel_password={sentinel_login}"
    await server(REDIS_URL=url, DATABASE_URL=postgres_url)
    await server(REDIS_URL=url, DATABASE_URL=postgres_url, migrate=False)
    database = Database(postgres_url)
    asked = redis.asyncio.sentinel.Sentinel(
        [("127.0.0.1", sentinels.port)], sentinel_kwargs={"password": Sentinels.sentinel_password}, socket_timeout=1
    )
    client = asked.master_for("main", password=Sentinels.password)
    backend = Backend(asked.master_for("main", password=Sentinels.password, retry=ONCE), copies=1)
    async with backend.writing():
        await backend.told_more(200)
        sentinels.primary.kill()
        backend.copies = 0  # there is none any more
        await backend.told_more()
    assert await client.config_get("port") == {"port": str(sentinels.replica.port)}
    await eventually(lambda: _is_empty(client), seconds=60)
    assert backend.told <= await delivered_once(database)
    assert not await client.exists(f"{STREAM}:dead")
    await client.aclose()
    await database.close()


async def _unknown(server: RtServer) -> bool:
    return not await lag(server)


async def _in_hand(client: redis.asyncio.Redis) -> bool:
    """Whether two servers have pending entries."""
    return len((await client.xpending(STREAM, "rtserver"))["consumers"]) == 2


async def _is_empty(client: redis.asyncio.Redis) -> bool:
    return await client.xlen(STREAM) == 0
