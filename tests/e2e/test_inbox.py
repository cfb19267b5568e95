"""Durable inbox and schedule with whole servers: entries reach users once, whatever fails."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg
import pytest
import redis.asyncio

from rtserver.store.db.postgres import dsn_of
from tests.support.eventually import eventually
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

STREAM = "rtserver:inbox"
Start = Callable[..., Awaitable[RtServer]]


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    one = redis.asyncio.Redis.from_url(redis_server.url)
    yield one
    await one.aclose()


@pytest.fixture(params=["sqlite", "postgres"])
async def servers(request: pytest.FixtureRequest, server: Start, redis_server: RedisServer) -> list[RtServer]:
    """Two servers on one Redis and one database."""
    settings: dict[str, Any] = {"REDIS_URL": redis_server.url}
    if request.param == "postgres":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    first = await server(**settings)
    second = await server(**(settings | {"DATABASE_URL": first.env["RTSERVER_DATABASE_URL"]}), migrate=False)
    return [first, second]


async def leave(client: redis.asyncio.Redis, kind: str, body: Any, **fields: Any) -> None:
    await client.xadd(STREAM, {"kind": kind, "body": json.dumps(body), **fields})


def notice(user: str, message: str, **more: Any) -> dict[str, Any]:
    return {"user": user, "type": "order", "message": message, **more}


async def is_empty(client: redis.asyncio.Redis) -> bool:
    return await client.xlen(STREAM) == 0


async def inbox_of(js: Any, server: RtServer, user: str) -> list[str]:
    device = await js(server.url, "/notifications", token=server.token(user), transports=["websocket"])
    listed = (await device.call("list", {"limit": 100}))["notifications"]
    await device.disconnect()
    return [one["message"] for one in reversed(listed)]


async def test_entries_reach_users_once_with_two_servers(
    servers: list[RtServer], client: redis.asyncio.Redis, js: Any
) -> None:
    ada, bob = [await js(each.url, "/chat", token=each.token("ada")) for each in servers]
    for device in (ada, bob):
        await device.call("join", {"room": "general"})
    bell = await js(servers[0].url, "/notifications", token=servers[0].token("ada"))
    for _ in range(3):  # a backend that tries again
        await leave(client, "message", {"room": "general", "from": {"id": "shop"}, "text": "Hi", "key": "m1"})
        await leave(client, "notification", notice("ada", "Shipped"), key="n1")
        await leave(client, "emit", {"namespace": "/chat", "event": "news", "rooms": ["general"], "key": "e1"})
    await leave(client, "emit", {"namespace": "/chat", "event": "last", "rooms": ["general"]})
    for device in (ada, bob):
        await device.next("last")
        assert (await device.next("message"))[0]["text"] == "Hi"
    await eventually(lambda: is_empty(client))
    await bell.next("notification")
    await bell.call("list", {})
    for device in (ada, bob):
        await device.call("rooms", {})
        assert (len(device.received("message")), len(device.received("news"))) == (1, 1)
    assert len(bell.received("notification")) == 1
    assert await client.exists(f"{STREAM}:dead") == 0


HOSTILE: list[dict[Any, Any]] = [
    {"x": "y"},
    {"kind": "emit"},
    {"kind": "notify", "body": "{}"},
    {"kind": "notification", "body": "{"},
    {"kind": "notification", "body": "[]"},
    {"kind": "notification", "body": "null"},
    {"kind": b"\xff", "body": b"\xff"},
    {"kind": "notification", "body": json.dumps(notice("ada", "x" * 20_000))},
    {"kind": "notification", "body": json.dumps(notice("a\0", "x"))},
    {"kind": "notification", "body": json.dumps(notice("ada", "x", key="a")), "key": "b"},
    {"kind": "notification", "body": json.dumps(notice("ada", "x")), "at": "tomorrow"},
    {"kind": "notification", "body": json.dumps(notice("ada", "x")), "at": str(int(time.time() * 1000) + 10**11)},
    {"kind": "notification", "body": "[" * 100_000},
    {"kind": "notification", "body": '{"user":"ada","type":"t","message":"\\ud800"}'},
    {"kind": "message", "body": json.dumps({"room": "user:ada", "from": {"id": "shop"}, "text": "hi"})},
    {"kind": "message", "body": json.dumps({"room": "general", "from": {"id": "shop"}, "text": " \u200b "})},
    {"kind": "emit", "body": json.dumps({"namespace": "/nope", "event": "x"})},
    {"kind": "emit", "body": json.dumps({"namespace": "/chat", "event": "disconnect"})},
    {"kind": "emit", "body": json.dumps({"namespace": "/chat", "event": "x"}), "extra": "1"},
    {"kind": "emit", "body": "1" * 1_100_000},
]


async def test_entries_that_can_never_be_executed_go_to_the_dead_letter_stream(
    server: Start, redis_server: RedisServer, client: redis.asyncio.Redis, js: Any
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    for fields in HOSTILE:
        await client.xadd(STREAM, fields)
    await leave(client, "notification", notice("ada", "good"), key="k")
    await leave(client, "notification", notice("ada", "other"), key="k")
    await eventually(lambda: is_empty(client))
    reasons = [fields[b"reason"].decode() for _, fields in await client.xrange(f"{STREAM}:dead")]
    assert len(reasons) == len(HOSTILE) + 1
    assert {reason.partition(":")[0] for reason in reasons} == {
        "invalid_payload", "not_found", "too_large", "conflict",
    } | ({"forbidden"} & {reason.partition(":")[0] for reason in reasons})  # fmt: skip
    assert await inbox_of(js, running, "ada") == ["good"]
    assert "Traceback" not in running.logs()


async def test_nothing_is_lost_or_repeated_when_a_server_is_killed_while_it_works(
    servers: list[RtServer], client: redis.asyncio.Redis, js: Any
) -> None:
    count = 300
    async with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xadd(STREAM, {"kind": "notification", "body": json.dumps(notice("ada", str(number)))})
        await pipeline.execute()
    await servers[0].kill()
    await servers[0].start()
    await servers[1].kill()
    await eventually(lambda: is_empty(client), seconds=60)
    device = await js(servers[0].url, "/notifications", token=servers[0].token("ada"))
    seen: list[str] = []
    before: dict[str, int] = {}
    while True:
        page = await device.call("list", {"limit": 100, **before})
        seen += [one["message"] for one in page["notifications"]]
        if not page["more"]:
            break
        before = {"before": page["notifications"][-1]["seq"]}
    assert sorted(map(int, seen)) == list(range(count))
    assert await client.exists(f"{STREAM}:dead") == 0


@pytest.mark.parametrize("servers", ["sqlite"], indirect=True)
async def test_scheduled_items_are_executed_once_by_two_servers_also_when_one_is_killed(
    servers: list[RtServer], client: redis.asyncio.Redis, js: Any
) -> None:
    bell = await js(servers[1].url, "/notifications", token=servers[1].token("ada"))
    due = int(time.time() * 1000) + 1500
    for number in range(40):
        await leave(client, "notification", notice("ada", str(number)), at=due + number, key=f"k{number}")
    await leave(client, "emit", {"namespace": "/notifications", "event": "now", "at": due})
    await eventually(lambda: is_empty(client))
    assert bell.received("notification") == []
    await bell.next("now")
    assert time.time() * 1000 >= due
    await servers[0].kill()
    await eventually(lambda: len(bell.received("notification")) >= 40, seconds=60)
    assert sorted(await inbox_of(js, servers[1], "ada"), key=int) == [str(number) for number in range(40)]


@pytest.mark.parametrize("servers", ["postgres"], indirect=True)
async def test_when_the_server_that_executes_scheduled_items_is_killed_the_other_goes_on(
    servers: list[RtServer], client: redis.asyncio.Redis, js: Any
) -> None:
    bells = [await js(each.url, "/notifications", token=each.token("ada")) for each in servers]
    due = int(time.time() * 1000) + 1000
    for number in range(40):
        await leave(client, "notification", notice("ada", str(number)), at=due + number)
    await eventually(lambda: is_empty(client))
    database = await asyncpg.connect(dsn_of(servers[0].env["RTSERVER_DATABASE_URL"]))
    async with database.transaction():
        await database.execute("LOCK TABLE notifications IN EXCLUSIVE MODE")  # one begins, and cannot finish
        owner = await eventually(lambda: database.fetchval("SELECT owner FROM scheduled WHERE owner IS NOT NULL"))
        [at] = [number for number, each in enumerate(servers) if owner.startswith(await instance_of(each) + ":")]
        await servers[at].kill()
    await database.close()
    survivor, bell = servers[1 - at], bells[1 - at]
    await eventually(lambda: len(bell.received("notification")) >= 40, seconds=60)
    assert await inbox_of(js, survivor, "ada") == [str(number) for number in range(40)]
    assert [told["message"] for (told,) in bell.received("notification")] == [str(number) for number in range(40)]


async def instance_of(server: RtServer) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/healthz") as response:
        return str((await response.json())["instance"])


async def test_items_that_became_due_while_no_server_ran_are_executed_at_once_in_order(
    server: Start, redis_server: RedisServer, client: redis.asyncio.Redis, js: Any
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    due = int(time.time() * 1000) + 700
    for number in reversed(range(20)):
        await leave(client, "notification", notice("ada", str(number)), at=due + number)
    await eventually(lambda: is_empty(client))
    await running.stop()
    await asyncio.sleep(max(0.0, due / 1000 + 0.1 - time.time()))
    await running.start()
    await eventually(lambda: _count(js, running, 20))
    assert await inbox_of(js, running, "ada") == [str(number) for number in range(20)]


async def _count(js: Any, running: RtServer, wanted: int) -> bool:
    return len(await inbox_of(js, running, "ada")) == wanted


async def test_while_the_database_is_down_entries_wait_and_none_is_dead_lettered(
    server: Start, redis_server: RedisServer, postgres_server: PostgresServer, client: redis.asyncio.Redis, js: Any
) -> None:
    running = await server(REDIS_URL=redis_server.url, DATABASE_URL=postgres_server.url)
    await leave(client, "notification", notice("ada", "before"))
    await eventually(lambda: is_empty(client))
    postgres_server.stop()
    for number in range(10):
        await leave(client, "notification", notice("ada", str(number)))
    await eventually(lambda: "database_trouble" in running.logs())
    assert await client.xlen(STREAM) == 10
    postgres_server.start()
    await eventually(lambda: is_empty(client), seconds=40)
    assert await inbox_of(js, running, "ada") == ["before", *map(str, range(10))]
    assert await client.exists(f"{STREAM}:dead") == 0


async def test_with_a_cluster_secret_the_inbox_is_off_by_default(
    server: Start, redis_server: RedisServer, client: redis.asyncio.Redis
) -> None:
    secret = "0123456789abcdef-0123456789ABCDEF"
    await server(REDIS_URL=redis_server.url, CLUSTER_SECRET=secret)
    assert not await client.exists(STREAM)
    await server(REDIS_URL=redis_server.url, CLUSTER_SECRET=secret, INBOX="true")
    assert await client.exists(STREAM)


def documented(section: str, language: str) -> str:
    """Return the code of that section of docs/backends.md, as one program."""
    page = (ROOT / "docs" / "backends.md").read_text()
    text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("language", "command"),
    [("sh", ["bash", "-e"]), ("python", [sys.executable]), ("js", ["node", "--input-type=module"])],
)
async def test_the_documented_examples_work(
    server: Start, redis_server: RedisServer, client: redis.asyncio.Redis, js: Any, language: str, command: list[str]
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    await client.xadd(f"{STREAM}:dead", {"reason": "was wrong", "entry:kind": "message", "entry:body": "{}"})
    code = documented("The durable inbox", language).replace("redis://127.0.0.1:6379/0", redis_server.url)
    ran = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, cwd=ROOT)
    await ran.communicate(code.encode())
    assert ran.returncode == 0
    await eventually(lambda: is_empty(client))
    assert await inbox_of(js, running, "alice") == ["Your order has shipped"]
    [(_, dead)] = await client.xrange(f"{STREAM}:dead")
    # Python puts the dead one back; it is as wrong as before.
    assert (dead[b"reason"] == b"was wrong") is (language != "python")
