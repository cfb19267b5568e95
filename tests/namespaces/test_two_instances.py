"""Two servers with one Redis and one database: users do not notice to which one they are connected."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Js = Callable[..., Awaitable[JsClient]]
Pair = tuple[RtServer, RtServer]


ON_BOTH = pytest.mark.parametrize("pair", ["sqlite", "postgres"], indirect=True)
"""Tests run on SQLite unless they have this mark."""


@pytest.fixture
async def pair(
    request: pytest.FixtureRequest, server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> Pair:
    """The second one applies retention ten times a second."""
    settings: dict[str, Any] = {"REDIS_URL": redis_server.url, "RATE_EVENTS": "100000/s"}
    if getattr(request, "param", "sqlite") == "postgres":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    first = await server(**settings)
    settings["DATABASE_URL"] = first.env["RTSERVER_DATABASE_URL"]
    return first, await server(**settings, CHAT_SWEEP_SECONDS=0.1, migrate=False)


@pytest.fixture
def device(pair: Pair, js: Js) -> Callable[..., Awaitable[JsClient]]:
    """`await device(0, "alice", "/chat")`: connected to the first server."""

    async def connect(at: int, user: str, namespace: str, roles: tuple[str, ...] = ()) -> JsClient:
        token = pair[at].token(user, name=user.capitalize(), roles=roles)
        return await js(pair[at].url, namespace, token=token, transports=["websocket"])

    return connect


async def test_chat_works_across_servers(device: Callable[..., Awaitable[JsClient]]) -> None:
    alice, bob = await device(0, "alice", "/chat"), await device(1, "bob", "/chat")
    laptop = await device(1, "alice", "/chat")
    await alice.call("join", {"room": "general"})
    ack = await bob.call("join", {"room": "general"})
    assert {m["id"]: m["online"] for m in ack["members"]} == {"alice": True, "bob": True}
    assert await alice.next("joined") == [{"room": "general", "user": "bob"}]
    sent = await alice.call("message", {"room": "general", "text": "hello"})
    assert await bob.next("message") == [sent["message"]]
    await bob.call("typing", {"room": "general", "typing": True})
    assert (await alice.next("typing"))[0]["user"] == "bob"
    await bob.call("read", {"room": "general", "seq": 1})
    assert await alice.next("read") == [{"room": "general", "user": "bob", "seq": 1}]
    direct = await bob.call("message", {"to": "alice", "text": "psst"})
    for mine in (alice, laptop):
        assert await mine.next("message") == [direct["message"]]


async def test_leaving_on_one_server_removes_devices_on_the_other(
    device: Callable[..., Awaitable[JsClient]],
) -> None:
    phone, laptop = await device(0, "alice", "/chat"), await device(1, "alice", "/chat")
    for client in (phone, laptop):
        await client.call("join", {"room": "general"})
    await phone.call("leave", {"room": "general"})
    assert await laptop.next("left") == [{"room": "general", "user": "alice"}]
    ack = await laptop.call("typing", {"room": "general", "typing": True})
    assert ack["error"]["code"] == "room_not_joined"


async def test_messages_of_both_servers_are_numbered_without_gaps(
    device: Callable[..., Awaitable[JsClient]],
) -> None:
    alice, bob = await device(0, "alice", "/chat"), await device(1, "bob", "/chat")
    for client in (alice, bob):
        await client.call("join", {"room": "general"})

    async def talk(client: JsClient) -> None:
        for number in range(30):
            assert (await client.call("message", {"room": "general", "text": str(number)}))["ok"]

    await asyncio.gather(talk(alice), talk(bob))
    history = await alice.call("history", {"room": "general", "limit": 100})
    assert [m["seq"] for m in history["messages"]] == list(range(1, 61))


async def test_a_notification_sent_to_one_server_reaches_devices_on_both(
    device: Callable[..., Awaitable[JsClient]], pair: Pair
) -> None:
    phone, laptop = await device(0, "alice", "/notifications"), await device(1, "alice", "/notifications")
    headers = {"Authorization": f"Bearer {pair[0].api_key}"}
    body = {"user": "alice", "type": "order", "message": "Sent"}
    async with aiohttp.ClientSession(headers=headers) as http:
        response = await http.post(f"{pair[0].url}/api/notifications", json=body)
        assert response.status < 300
    [seen] = await phone.next("notification")
    assert await laptop.next("notification") == [seen]
    await phone.call("read", {"ids": [seen["id"]]})
    assert await laptop.next("read") == [{"ids": [seen["id"]], "unread": 0, "unseen": 0}]


async def test_presence_counts_devices_on_both(device: Callable[..., Awaitable[JsClient]]) -> None:
    alice, phone = await device(0, "alice", "/chat"), await device(0, "bob", "/chat")
    for client in (alice, phone):
        await client.call("join", {"room": "general"})
    laptop = await device(1, "bob", "/chat")
    await phone.disconnect()
    assert (await alice.call("online", {"users": ["bob"]}))["online"] == ["bob"]
    await laptop.disconnect()
    assert await alice.next("presence") == [{"user": "bob", "online": False}]
    assert [shown for [shown] in alice.received("presence")] == [{"user": "bob", "online": False}]


async def test_an_admin_on_one_server_sees_and_reaches_clients_on_the_other(
    device: Callable[..., Awaitable[JsClient]],
) -> None:
    alice, bob = await device(0, "alice", "/chat"), await device(1, "bob", "/chat")
    admin = await device(0, "root", "/admin", ("admin",))
    [stats] = await admin.next("stats", where=lambda stats: stats["total"]["connections"].get("/chat") == 2)
    assert len(stats["instances"]) == 2
    clients = (await admin.call("clients", {"namespace": "/chat"}))["clients"]
    assert {client["user"]: client["sid"] for client in clients} == {"alice": alice.id, "bob": bob.id}
    assert {client["instance"] for client in clients} == {instance["instance"] for instance in stats["instances"]}
    await admin.call("announce", {"namespaces": ["/chat"], "event": "news", "data": 1})
    for client in (alice, bob):
        assert await client.next("news") == [1]
    assert (await admin.call("kick", {"user": "bob"}))["disconnected"] == 1
    assert await bob.disconnected() == "io server disconnect"
    assert alice.is_connected
