"""Chat under faults of Redis and of servers: real processes and clients, under load."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import redis.asyncio

from tests.cluster.redis.test_redis_faults import FAULTS, Faults
from tests.support.eventually import eventually
from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer
from tests.support.talker import ROOM, Talker, until_all_heard

TRANSPORTS = (["polling"], ["websocket"], ["polling", "websocket"])
REPAIRED_SECONDS = 15
"""Seconds until the users of a killed server are offline: the promise for the default settings."""

Start = Callable[..., Awaitable[RtServer]]
Connect = Callable[..., Awaitable[JsClient]]


async def started(server: Start, count: int, redis_url: str) -> list[RtServer]:
    """Servers on one Redis and one database."""
    first = await server(INSTANCE="s0", REDIS_URL=redis_url)
    same = {"DATABASE_URL": first.env["RTSERVER_DATABASE_URL"], "REDIS_URL": redis_url, "migrate": False}
    return [first, *[await server(INSTANCE=f"s{number}", **same) for number in range(1, count)]]


@asynccontextmanager
async def talking(talkers: list[Talker]) -> AsyncIterator[None]:
    """All of them send during the block; afterwards each has received, or can fetch, every message that was acked."""
    over = asyncio.Event()
    tasks = [asyncio.create_task(talker.talk(over)) for talker in talkers]
    yield
    over.set()
    await asyncio.gather(*tasks)
    said = set[int]().union(*(talker.said for talker in talkers))
    assert said == set(range(1, len(said) + 1)), "every message that was acked has a number, and no number is missing"
    for talker in talkers:
        await talker.fetch(talker.client)
    await until_all_heard(talkers, said)
    for talker in talkers:
        talker.assert_told_once()
        await talker.stop()


async def said_more(talkers: list[Talker], count: int = 5) -> None:
    """Wait until each has sent so many more messages."""
    before = [len(talker.said) for talker in talkers]
    await eventually(lambda: all(len(t.said) >= b + count for t, b in zip(talkers, before, strict=True)), 60)


async def test_clients_that_move_between_three_servers_miss_nothing(
    server: Start, js: Connect, redis_server: RedisServer
) -> None:
    """The third server is killed meanwhile; its users go offline in time, and only once."""
    servers = await started(server, 3, redis_server.url)

    async def client(number: int, at: RtServer) -> JsClient:
        return await js(at.url, "/chat", token=at.token(f"talker{number}"), transports=TRANSPORTS[number % 3])

    talkers = [Talker(await client(number, servers[number % 3]), f"talker{number}") for number in range(6)]

    async def move_all(targets: list[RtServer]) -> None:
        for turn in range(len(targets)):
            for number, talker in enumerate(talkers):
                await talker.move(await client(number, targets[(number + turn + 1) % len(targets)]))
            await said_more(talkers)

    async with talking(talkers):
        await said_more(talkers)
        await move_all(servers)
        assert {str(talker.client.engine_id)[:2] for talker in talkers} == {"s0", "s1", "s2"}

        watcher = await js(servers[0].url, "/chat", token=servers[0].token("watcher"))
        held = [await js(servers[2].url, "/chat", token=servers[2].token(name)) for name in ("held", "moved")]
        elsewhere = await js(servers[1].url, "/chat", token=servers[1].token("moved"))
        for each in (watcher, *held, elsewhere):
            assert (await each.call("join", {"room": "quiet"}))["ok"]
        await servers[2].kill()
        repaired = asyncio.create_task(
            watcher.next("presence", where=lambda told: told["user"] == "held", seconds=REPAIRED_SECONDS)
        )
        await move_all(servers[:2])
        assert (await repaired) == [{"user": "held", "online": False}]
        ack = await watcher.call("members", {"room": "quiet"})
        online = {member["id"]: member["online"] for member in ack["members"]}
        assert online == {"watcher": True, "held": False, "moved": True}
    told = [presence for (presence,) in watcher.received("presence") if presence["user"] in ("held", "moved")]
    assert [presence for presence in told if not presence["online"]] == [{"user": "held", "online": False}]


async def test_no_fault_of_redis_loses_a_message(server: Start, js: Connect, redis_server: RedisServer) -> None:
    """Live events during an outage are lost (see test_redis_faults.py); acked messages are saved and can be fetched."""
    servers = await started(server, 2, redis_server.url)
    talkers = []
    for number, at in zip(range(4), cycle(servers), strict=False):
        options = {"token": at.token(f"talker{number}"), "transports": TRANSPORTS[number % 3]}
        talkers.append(Talker(await js(at.url, "/chat", **options), f"talker{number}"))

    def lines(event: str) -> list[int]:
        return [at.logs().count(f'"event":"{event}"') for at in servers]

    def back() -> bool:
        return lines("redis_unreachable") == [count - 1 for count in lines("redis_connected")]

    async def nothing() -> None:
        return None

    async with talking(talkers):
        await said_more(talkers)
        for name in FAULTS:
            before = sum(lines("redis_unreachable"))
            async with redis.asyncio.Redis.from_url(redis_server.url) as operator:
                faults = Faults(redis_server, operator)
                faults.channel = "socket.io#/chat#"
                await getattr(faults, name)()
                await eventually(lambda before=before: sum(lines("redis_unreachable")) > before)
                # Clients that send do not wait for Redis.
                await said_more(talkers, 3)
                await getattr(faults, f"{name}_end", nothing)()
            await eventually(back, 30)
            await said_more(talkers, 3)
    for talker in talkers:
        assert talker.client.times("socket", "disconnect") == 0, talker.client._story()
        assert await is_saved(talker)


async def is_saved(talker: Talker) -> Any:
    """Everything that it sent is in the history, unchanged."""
    texts: dict[int, str] = {}
    more, after = True, 0
    while more:
        page = await talker.client.call("history", {"room": ROOM, "after": after})
        texts |= {message["seq"]: message["text"] for message in page["messages"]}
        more, after = page["more"], max(texts)
    own = [texts[seq] for seq in sorted(talker.said)]
    return own == [f"{talker.name} {number}" for number in range(1, len(own) + 1)]
