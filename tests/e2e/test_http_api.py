"""The HTTP API of two servers on one Redis and one database: a backend may use either."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Answer = tuple[int, dict[str, Any]]
BOT = {"id": "bot", "name": "Bot"}


class Backends:
    """Backends of two servers. `await backends(1, "POST", "/api/emit", {...})` sends to the second."""

    def __init__(self, servers: tuple[RtServer, RtServer], http: aiohttp.ClientSession) -> None:
        self.servers = servers
        self._http = http

    async def __call__(self, at: int, method: str, path: str, body: Any = None) -> Answer:
        async with self._http.request(method, self.servers[at].url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def ok(self, at: int, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, told = await self(at, method, path, body)
        assert status == 200, told
        return told


BOTH = pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the setting for that database."""
    kind = getattr(request, "param", "sqlite")
    return {"DATABASE_URL": request.getfixturevalue("postgres_url")} if kind == "postgres" else {}


@pytest.fixture
async def backends(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer, database: dict[str, str]
) -> AsyncIterator[Backends]:
    settings = {"REDIS_URL": redis_server.url, "RATE_EVENTS": "100000/s", **database}
    first = await server(**settings)
    second = await server(**settings | {"DATABASE_URL": first.env["RTSERVER_DATABASE_URL"]}, migrate=False)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {first.api_key}"}) as http:
        yield Backends((first, second), http)


@pytest.fixture
def device(backends: Backends, js: Callable[..., Awaitable[JsClient]]) -> Callable[..., Awaitable[JsClient]]:
    """`await device(0, "alice", "/chat")`: connected to the first server."""

    async def connect(at: int, user: str, namespace: str) -> JsClient:
        token = backends.servers[at].token(user, name=user.capitalize())
        return await js(backends.servers[at].url, namespace, token=token, transports=["websocket"])

    return connect


@BOTH
async def test_requests_to_one_server_reach_clients_of_the_other(
    backends: Backends, device: Callable[..., Awaitable[JsClient]]
) -> None:
    alice, bob = await device(1, "alice", "/chat"), await device(0, "bob", "/chat")
    for client in (alice, bob):
        await client.call("join", {"room": "team/red"})

    # A message into a room, with a mention.
    body = {"room": "team/red", "text": "Hello @alice", "from": BOT, "data": {"n": 1}}
    first = (await backends.ok(0, "POST", "/api/messages", body))["message"]
    assert (await alice.next("message"), await bob.next("message")) == ([first], [first])
    assert (first["seq"], first["from"], first["mentions"]) == (1, BOT, ["alice"])
    reply = {"room": "team/red", "text": "And this", "from": {"id": "bot"}, "replyTo": first["id"]}
    second = (await backends.ok(1, "POST", "/api/messages", reply))["message"]
    assert (second["seq"], second["from"]["name"], second["replyTo"]) == (2, "bot", first["id"])
    assert await alice.next("message") == [second]

    # The history, in pages, from either.
    path = f"/api/rooms/{quote('team/red', safe='')}/messages"
    assert (await backends.ok(1, "GET", path))["messages"] == [first, second]
    assert await backends.ok(0, "GET", f"{path}?after=0&limit=1") == {"ok": True, "messages": [first], "more": True}
    assert await backends.ok(0, "GET", f"{path}?before=1") == {"ok": True, "messages": [], "more": False}
    assert (await backends.ok(1, "GET", "/api/rooms/nowhere/messages"))["messages"] == []

    # A direct message to a user who is not connected counts as unread too.
    direct = (await backends.ok(0, "POST", "/api/messages", {"to": "carol", "text": "Psst", "from": BOT}))["message"]
    assert direct["room"] == "dm:bot:carol"
    assert (await backends.ok(1, "GET", "/api/users/carol/unread"))["rooms"] == [
        {"room": "dm:bot:carol", "unread": 1, "lastRead": 0}
    ]
    unread = await backends.ok(0, "GET", "/api/users/alice/unread")
    assert (unread["messages"], unread["notifications"]["types"]) == (2, {"mention": 1})
    inbox = await backends.ok(1, "GET", "/api/users/alice/notifications?type=mention&unread=true")
    assert [one["type"] for one in inbox["notifications"]] == ["mention"]

    # Presence is known on both servers.
    for at in (0, 1):
        told = await backends.ok(at, "GET", "/api/presence?user=carol&user=bob&user=alice")
        assert told == {"ok": True, "online": ["bob", "alice"], "partial": False}
        assert sorted((await backends.ok(at, "GET", "/api/presence"))["online"]) == ["alice", "bob"]

    # Clients of both servers ack.
    for at, client in ((0, bob), (1, alice)):
        await client.answer("ping?", {"from": at})
    body: dict[str, Any] = {"namespace": "/chat", "event": "ping?", "data": 1, "ack": True, "timeout": 10}
    told = await backends.ok(0, "POST", "/api/emit", body)
    assert sorted(answer["from"] for answer in told.pop("answers")) == [0, 1]
    assert told == {"ok": True, "missing": 0, "partial": False}
    only = await backends.ok(1, "POST", "/api/emit", body | {"users": ["bob"]})
    assert (only["answers"], only["missing"]) == ([{"from": 0}], 0)
    assert (await backends.ok(1, "POST", "/api/emit", body | {"rooms": ["empty"]}))["answers"] == []
    silent = await backends.ok(1, "POST", "/api/emit", body | {"event": "unheard", "timeout": 0.3})
    assert silent == {"ok": True, "answers": [], "missing": 2, "partial": False}


async def test_a_bad_ack_of_one_client_does_not_affect_the_others(
    backends: Backends, device: Callable[..., Awaitable[JsClient]]
) -> None:
    """Very many values need much more memory than their JSON. Bytes have no JSON."""
    answers: dict[str, Any] = {
        "alice": "here",
        "bob": "there",
        "mallory": [[]] * 180_000 + [0] * 220_000,
        "mal": {"$bytes": "AAE="},
    }
    for number, (user, answer) in enumerate(answers.items()):
        client = await device(number % 2, user, "/chat")
        await client.answer("tell?", answer)
    body = {"namespace": "/chat", "event": "tell?", "ack": True, "timeout": 20}
    for at in (0, 1):
        told = await backends.ok(at, "POST", "/api/emit", body)
        assert sorted(told.pop("answers")) == ["here", "there"]
        assert told == {"ok": True, "missing": 2, "partial": False}


REPEATED: list[tuple[str, dict[str, Any]]] = [
    ("notification", {"users": ["alice", "bob"], "type": "order", "message": "Shipped", "key": "order-7"}),
    ("notification", {"everyone": True, "type": "order", "message": "Shipped", "key": "all"}),
    ("message", {"room": "general", "text": "Hello", "from": BOT, "key": "hello"}),
    ("message", {"to": "alice", "text": "Hello", "from": BOT, "key": "direct"}),
    ("emit", {"namespace": "/chat", "event": "news", "key": "news"}),
    ("notification", {"user": "alice", "type": "t", "message": "x", "at": "2027-10-24T00:00:00Z", "key": "later"}),
]


@BOTH
async def test_concurrent_requests_with_one_key_take_effect_once(backends: Backends) -> None:
    for kind, body in REPEATED:
        path = "/api/emit" if kind == "emit" else f"/api/{kind}s"
        answers = await asyncio.gather(*(backends(n % 2, "POST", path, body) for n in range(12)))
        assert [status for status, _ in answers] == [200] * 12, answers
        assert Counter(told["new"] for _, told in answers) == {True: 1, False: 11}
        first = without_new(answers[0][1])
        assert all(without_new(told) == first for _, told in answers)

        # The same key with another body is rejected on every path; without a key it is another request.
        other = body | ({"text": "Another"} if kind == "message" else {"data": {"another": 1}})
        for at in (0, 1):
            status, told = await backends(at, "POST", path, other)
            assert (status, told["error"]["code"]) == (409, "conflict")
        unkeyed = {name: value for name, value in body.items() if name != "key"}
        entries = [{"kind": kind, "body": one} for one in (body, other, unkeyed)]
        results = (await backends.ok(1, "POST", "/api/batch", {"entries": entries}))["results"]
        assert [one.get("error", {}).get("code") for one in results] == [None, "conflict", None]
        assert results[0]["new"] is False


def without_new(told: dict[str, Any]) -> dict[str, Any]:
    """Return what concurrent requests with one key have in common. The number reached is known only at the end."""
    notifications = [{**one, "new": None} for one in told.get("notifications", ())]
    return {**told, "notifications": notifications, "new": None, "reached": None}


async def test_a_batch_is_saved_and_delivered_in_order(
    backends: Backends, device: Callable[..., Awaitable[JsClient]]
) -> None:
    alice = await device(1, "alice", "/chat")
    await alice.call("join", {"room": "r0"})
    say = [
        {"kind": "message", "body": {"room": f"r{n % 4}", "text": str(n), "from": BOT, "key": f"k{n}"}}
        for n in range(200)
    ]
    bad = {"kind": "message", "body": {"room": "user:alice", "text": "Not there", "from": BOT}}
    entries = [*say, bad, {"kind": "emit", "body": {"namespace": "/chat", "event": "end", "rooms": ["r0"]}}]
    results = (await backends.ok(0, "POST", "/api/batch", {"entries": entries}))["results"]
    assert [one["ok"] for one in results] == [True] * 200 + [False, True]
    assert results[200]["error"]["code"] == "invalid_payload"
    assert [results[n]["message"]["seq"] for n in range(200)] == [n // 4 + 1 for n in range(200)]
    await alice.next("end")
    assert [args[0]["text"] for args in alice.received("message")] == [str(n) for n in range(0, 200, 4)]
    again = (await backends.ok(1, "POST", "/api/batch", {"entries": say}))["results"]
    assert [(one["new"], one["message"]["id"]) for one in again] == [
        (False, results[n]["message"]["id"]) for n in range(200)
    ]


async def test_without_redis_answers_are_marked_as_partial(
    backends: Backends, device: Callable[..., Awaitable[JsClient]], redis_server: RedisServer
) -> None:
    client = await device(0, "alice", "/chat")
    await client.answer("ping?", "here")
    redis_server.stop()
    body = {"namespace": "/chat", "event": "ping?", "ack": True, "timeout": 5}
    async with asyncio.timeout(15):
        while not (told := await backends.ok(0, "POST", "/api/emit", body))["partial"]:
            continue
        assert told == {"ok": True, "answers": ["here"], "missing": 0, "partial": True}
        assert (await backends.ok(0, "GET", "/api/presence?user=bob"))["partial"] is True
    # Durable requests are saved as usual.
    message = {"room": "general", "text": "Hello", "from": BOT}
    assert (await backends.ok(0, "POST", "/api/messages", message))["message"]["seq"] == 1
