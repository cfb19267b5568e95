"""Two servers as real processes: presence when one is killed or hangs, or Redis loses its data."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from tests.namespaces.backend import Backend
from tests.support.eventually import eventually
from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Connect = Callable[..., Awaitable[JsClient]]
GRACE, LEASE = 0.3, 3.0
SHORT = {"PRESENCE_GRACE": GRACE, "PRESENCE_LEASE": LEASE, "CLUSTER_TIMEOUT": 2, "RATE_EVENTS": "100000/s"}


@pytest.fixture(params=["classic", "sharded"])
async def pair(
    request: pytest.FixtureRequest, server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> list[RtServer]:
    both = {**SHORT, "REDIS_URL": redis_server.url, "REDIS_ADAPTER": request.param}
    first = await server(INSTANCE="one1", **both)
    database = first.env["RTSERVER_DATABASE_URL"]
    return [first, await server(INSTANCE="two2", DATABASE_URL=database, migrate=False, **both)]


@pytest.fixture
def device(pair: list[RtServer], js: Callable[..., Awaitable[JsClient]]) -> Connect:
    async def connect(at: int, user: str, namespace: str = "/chat", roles: tuple[str, ...] = ()) -> JsClient:
        token = pair[at].token(user, name=user.capitalize(), roles=roles)
        return await js(pair[at].url, namespace, token=token, transports=["websocket"])

    return connect


async def test_presence_after_kill_hang_and_redis_restart(
    pair: list[RtServer], device: Connect, redis_server: RedisServer
) -> None:
    """One test, since servers are slow to start: Redis loses its data, a server hangs, and is killed by kill -9."""
    alice, admin = await device(0, "alice"), await device(0, "root", "/admin", ("admin",))
    bob, both = await device(1, "bob"), [await device(0, "carol"), await device(1, "carol")]
    for client in (alice, bob, both[0]):
        await client.call("join", {"room": "general"})

    async def who_is_online() -> dict[str, bool]:
        ack = await alice.call("members", {"room": "general"})
        assert "partial" not in ack
        return {member["id"]: member["online"] for member in ack["members"]}

    backend = Backend(pair[0])

    async def here() -> Any:
        """Devices in the room by instance, as the HTTP API reports them; None while the answer is partial."""
        _, told = await backend.get("/api/rooms/general/presence")
        return None if told["partial"] else {one["id"]: one["instances"] for one in told["users"]}

    async def presence() -> Any:
        return (await admin.call("presence", {"users": ["alice", "bob", "carol"]}))["presence"]

    everybody = {
        "alice": {"online": True, "devices": {"one1": 1}},
        "bob": {"online": True, "devices": {"two2": 1}},
        "carol": {"online": True, "devices": {"one1": 1, "two2": 1}},
    }
    assert await presence() == everybody
    in_the_room = {"alice": {"one1": 1}, "bob": {"two2": 1}, "carol": {"one1": 1}}

    async def all_here() -> bool:
        return bool(await here() == in_the_room)

    await eventually(all_here)
    await both[1].call("join", {"room": "general"})
    in_the_room["carol"]["two2"] = 1
    await eventually(all_here)

    # Who is in the cluster.
    async def connections() -> Any:
        ack = await admin.call("instances")
        counts = {one["id"]: one["connections"].get("/chat") for one in ack["instances"]}
        return "partial" not in ack and counts == {"one1": 2, "two2": 2}

    await eventually(connections)
    for one, process in zip((await admin.call("instances"))["instances"], pair, strict=True):
        assert (one["pid"], one["draining"]) == (process.pid, False)
        assert set(one) == {"id", "version", "started", "host", "pid", "draining", "connections"}

    # A Redis that forgets everything; told again within a heartbeat, and nobody's clients hear of it.
    store = redis.asyncio.Redis.from_url(redis_server.url)
    await store.flushall()
    await store.aclose()

    async def exact() -> bool:
        return bool(await presence() == everybody)

    await eventually(exact)
    assert not [shown for shown in alice.received("presence") if not shown[0]["online"]]
    await eventually(all_here)

    # A server that hangs: what is known is told, with what is missing.
    await eventually(connections)
    pair[1].pause()
    for event, payload in (("clients", {"namespace": "/chat"}), ("rooms", {"namespace": "/chat"})):
        ack = await admin.call(event, payload)
        assert (ack["ok"], ack["partial"], ack["missing"]) == (True, True, ["two2"])

    async def unsure() -> bool:
        ack = await alice.call("members", {"room": "general"})
        return bool(ack.get("partial")) and await here() is None

    await eventually(unsure)
    pair[1].resume()

    async def whole() -> bool:
        return "partial" not in await admin.call("clients", {"namespace": "/chat"})

    await eventually(whole)
    await eventually(exact)
    await eventually(all_here)

    # And its end.
    heard = len(alice.received("presence"))
    await pair[1].kill()
    await alice.next("presence", where=lambda shown: shown == {"user": "bob", "online": False})
    assert await who_is_online() == {"alice": True, "bob": False, "carol": True}
    assert await here() == {"alice": {"one1": 1}, "carol": {"one1": 1}}
    members = (await both[0].call("members", {"room": "general"}))["members"]
    assert {member["id"]: member["here"] for member in members} == {"alice": True, "bob": False, "carol": True}
    assert [shown for [shown] in alice.received("presence")[heard:]].count({"user": "bob", "online": False}) <= 1
    assert [one["id"] for one in (await admin.call("instances"))["instances"]] == ["one1"]
    assert "partial" not in await admin.call("clients", {"namespace": "/chat"})

    # Without Redis the answers are what this server knows, and say so.
    redis_server.stop()
    ack = await alice.call("members", {"room": "general"})
    assert (ack["partial"], ack["count"]) == (True, 3)
    assert (await alice.call("online", {"users": ["alice", "bob"]})) == {
        "ok": True, "online": ["alice"], "partial": True
    }  # fmt: skip
    assert (await admin.call("presence", {"users": ["bob"]}))["error"]["code"] == "unavailable"
    ack = await admin.call("instances")
    assert ([one["id"] for one in ack["instances"]], ack["partial"]) == (["one1"], True)
    assert (await admin.call("clients"))["partial"] is True
    _, told = await backend.get("/api/rooms/general/presence")
    assert ([one["id"] for one in told["users"]], told["partial"]) == (["alice", "carol"], True)
    await alice.call("leave", {"room": "general"})
    redis_server.start()

    async def back() -> bool:
        ack = await admin.call("presence", {"users": ["alice"]})
        return bool(ack["ok"] and ack["presence"]["alice"]["devices"] == {"one1": 1})

    await eventually(back)

    async def left_meanwhile() -> bool:
        return await here() == {"carol": {"one1": 1}}

    await eventually(left_meanwhile)
