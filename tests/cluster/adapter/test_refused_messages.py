"""Refused messages: whoever emitted what no server executes finds the reason in the log, once, without the content."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
import redis.asyncio
import socketio
from structlog.testing import capture_logs

from rtserver.cluster.adapter import request_handlers
from rtserver.cluster.adapter.python_socketio import PythonSocketIOInput
from rtserver.cluster.adapter.sharded import ShardedAdapter
from rtserver.cluster.emitter.emitter import Emitter
from rtserver.cluster.redis.bus import MAX_MESSAGE
from rtserver.cluster.redis.senders import sender_of
from rtserver.protocol.adapter import Channels, Misaddressed
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.server import Server
from tests.cluster.instances import Chat, Instance
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

Cluster = Callable[..., Awaitable[list[Instance]]]
CHAT = Channels("socket.io", "/chat")
SECRET = "c0ntent-of-the-message"


def lines(logs: list[Any], event: str = "cluster_message_refused") -> list[dict[str, Any]]:
    return [line for line in logs if line["event"] == event]


async def settled(instance: Instance, client: redis.asyncio.Redis, channel: str = CHAT.request) -> None:
    """Wait until everything published before has been handled."""
    instance.chat.heard.clear()
    await client.publish(channel, b'{"uid":"x","type":6,"data":["note","settled"]}')
    await eventually(lambda: instance.chat.heard == ["settled"])


def broadcast(uid: str, data: Any, nsp: str = "/chat", kind: int = 2) -> bytes:
    packed: bytes = msgpack.packb([uid, {"type": kind, "data": data, "nsp": nsp}, {}])
    return packed


REFUSED: list[tuple[str, str, bytes, str, str, str | None]] = [
    ("reserved event", CHAT.broadcast, broadcast("emitter", ["connect", SECRET]), "reserved",
     CHAT.broadcast, "emitter"),
    ("wrong nsp", CHAT.broadcast, broadcast("emitter", ["x", SECRET], nsp="/other"), "another namespace",
     CHAT.broadcast, "emitter"),
    ("not an event", CHAT.broadcast, broadcast("abc123", SECRET), "not an event", CHAT.broadcast, "abc123"),
    ("a packet of another type", CHAT.broadcast, broadcast("abc124", [SECRET], kind=3), "EVENT",
     CHAT.broadcast, "abc124"),
    ("garbage", CHAT.broadcast, b"\xc1\xff" + SECRET.encode(), "", CHAT.broadcast, None),
    ("no array", CHAT.broadcast, b"5", "array", CHAT.broadcast, None),
    ("unknown type", CHAT.request, b'{"uid":"node77","type":99,"x":"%s"}' % SECRET.encode(), "unknown request type",
     CHAT.request, "node77"),
    ("packed, unknown type", CHAT.request, msgpack.packb({"uid": "node78", "type": 42, "x": SECRET}),
     "unknown request type", CHAT.request, "node78"),
    ("wrong nsp in a request", CHAT.request,
     msgpack.packb({"uid": "node79", "type": 7, "requestId": "r", "packet": {"type": 2, "data": ["x"], "nsp": "/z"},
                    "opts": {}}), "another namespace", CHAT.request, "node79"),
    ("no JSON", CHAT.request, b'{"' + SECRET.encode(), "", CHAT.request, None),
    ("a response", CHAT.response, b"[]", "not an object", CHAT.response, None),
    ("python-socketio: method", "socketio", json.dumps({"method": SECRET, "host_id": "h0st"}).encode(),
     "unknown method", "socketio", "h0st"),
    ("python-socketio: namespace", "socketio",
     json.dumps({"method": "emit", "event": "x", "data": [SECRET], "namespace": "/nope", "host_id": "h1"}).encode(),
     "does not have its namespace", "socketio", "h1"),
    ("python-socketio: pickled", "socketio", b"\x80\x04]\x94." + SECRET.encode(), "", "socketio", None),
    ("signed", CHAT.request, b"\xc1rt1" + b"\0" * 80, "RTSERVER_CLUSTER_SECRET", CHAT.request, None),
]  # fmt: skip


async def test_each_kind_of_refusal_has_one_line_for_each_sender(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    for name, channel, payload, reason, shown, uid in REFUSED:
        # A new log for each: the same channel and reason may come twice in this table.
        one.bus._subscriber._deliver._refusals._seen.clear()  # type: ignore[attr-defined]
        with capture_logs() as logs:
            for _ in range(20):
                await redis_client.publish(channel, payload)
            await settled(one, redis_client)
        told = lines(logs)
        assert len(told) == 1, name
        assert (told[0]["channel"], told[0].get("uid")) == (shown, uid), name
        assert reason in told[0]["reason"], (name, told)
        assert told[0]["log_level"] == "warning"
        assert SECRET not in str(logs), name


async def test_an_emitter_of_python_socketio_that_forgets_the_namespace_is_told_which_one_it_named() -> None:
    adapter = Adapter()
    server = Server(adapter=adapter, namespaces=[], async_mode="aiohttp")
    server.add_namespace(Chat())
    source = PythonSocketIOInput(adapter)
    with pytest.raises(Misaddressed, match=r"does not have its namespace \(the default, /\)"):
        source.on_message("socketio", b'{"method": "emit", "event": "x", "data": []}')
    source.on_message("socketio", b'{"method": "emit", "event": "x", "data": [], "namespace": "/chat"}')
    source.on_message("socketio", b'{"method": "callback", "host_id": "x", "id": 1, "args": []}')


async def test_a_room_in_the_channel_is_no_other_sender(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    (one,) = await cluster(1)
    await one.client(*(f"room{number}" for number in range(20)))
    with capture_logs() as logs:
        for number in range(20):
            await redis_client.publish(CHAT.broadcast_to([f"room{number}"]), broadcast("emitter", "no list"))
        await redis_client.publish(CHAT.broadcast_to(["room1"]), broadcast("other1", "no list"))
        await settled(one, redis_client)
    assert [line["uid"] for line in lines(logs)] == ["emitter", "other1"]


async def test_a_flood_of_senders_and_kinds_is_bounded(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    (one,) = await cluster(1)
    with capture_logs() as logs:
        for number in range(400):
            await redis_client.publish(CHAT.request, b'{"uid":"node%dx","type":99}' % number)
        await settled(one, redis_client)
    assert len(lines(logs)) == 201
    assert one.metrics.rejections == {"cluster_message": 400}


async def test_a_message_that_is_too_large_is_named(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    (one,) = await cluster(1)
    with capture_logs() as logs:
        await redis_client.publish(CHAT.broadcast, b"x" * (MAX_MESSAGE + 1))
        await settled(one, redis_client)
    assert [line["reason"] for line in lines(logs)] == [f"larger than {MAX_MESSAGE} bytes"]


async def test_each_sender_with_a_wrong_signature_is_named(
    cluster: Cluster, redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1, secret="s" * 32)
    with capture_logs() as logs:
        async with Emitter(redis_server.url, secret="o" * 32) as emitter:
            await emitter.of("/chat").emit("x", SECRET)
        for channel in (CHAT.broadcast, CHAT.request):
            for _ in range(5):
                await redis_client.publish(channel, broadcast("emitter", ["x", SECRET]))
        manager = socketio.AsyncRedisManager(redis_server.url, write_only=True)
        await manager.emit("x", SECRET, namespace="/chat")
        await eventually(lambda: one.metrics.rejections["cluster_signature"] == 12)
    told = [(line["channel"], line["reason"]) for line in lines(logs, "cluster_signature_refused")]
    assert told == [
        (CHAT.broadcast, "wrong signature"),
        (CHAT.broadcast, "not signed"),
        (CHAT.request, "not signed"),
        ("socketio", "not signed"),
    ]
    assert SECRET not in str(logs)


async def test_the_sharded_adapter_says_the_same(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    (one,) = await cluster(1, adapter=ShardedAdapter)
    channel = "socket.io#/chat#"
    packet = {"opts": {"rooms": [], "except": [], "flags": {}}, "packet": {"type": 2, "data": ["x", SECRET]}}
    with capture_logs() as logs:
        for message in (
            {"uid": "emitter", "nsp": "/other", "type": 3, "data": packet},
            {"uid": "emitter", "nsp": "/chat", "type": 2},
            {"uid": "emitter", "nsp": "/chat", "type": "3", "data": packet},
        ):
            for _ in range(3):
                await redis_client.execute_command("SPUBLISH", channel, json.dumps(message))
        note = {"uid": "x", "nsp": "/chat", "type": 9, "data": {"packet": ["note", "settled"]}}
        await redis_client.execute_command("SPUBLISH", channel, json.dumps(note))
        await eventually(lambda: one.chat.heard == ["settled"])
    told = lines(logs)
    assert [(line["channel"], line["uid"]) for line in told] == [(channel, "emitter")] * 2
    assert "another namespace" in told[0]["reason"]
    assert one.metrics.rejections == {"cluster_message": 3}


async def test_a_server_side_event_that_nobody_handles_is_named(
    cluster: Cluster, redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    with capture_logs() as logs:
        async with Emitter(redis_server.url) as emitter:
            for _ in range(3):
                await emitter.of("/chat").server_side_emit(SECRET, SECRET)
        await settled(one, redis_client)
        await eventually(lambda: lines(logs, "cluster_request_refused"))
    [line] = lines(logs, "cluster_request_refused")
    assert (line["namespace"], line["uid"]) == ("/chat", "emitter")
    assert SECRET not in str(logs)


async def test_requests_beyond_the_limit_are_named(
    cluster: Cluster, redis_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_handlers, "MAX_RUNNING", 2)
    (one,) = await cluster(1)
    with capture_logs() as logs:
        for _ in range(6):
            await redis_client.publish(CHAT.request, b'{"uid":"x","type":6,"data":["slow"]}')
        await eventually(lambda: one.metrics.rejections["cluster_busy"] == 4)
    assert [line["reason"] for line in lines(logs, "cluster_request_refused")] == ["2 requests are running"]


@pytest.mark.parametrize(
    ("payload", "uid"),
    [
        (b"", None), (b"\x93", None), (b"\x93\xa0", None), (b"\x93\xff", None), (b"\x93\xa6ab", None),
        (b"\x93\xa3a b", None), (b"\x93\xa3a\nb", None), (b"\x93\xa2\xc3\xa9", None), (b"\x93\xa6abcdef", "abcdef"),
        (b"\x82\xa3uid\xa3abc", "abc"), (b"\x82\xa3uid", None), (b'{"uid":"' + b"x" * 41 + b'"', None),
        (b'{"uid": "a-b_c.d:e"', "a-b_c.d:e"), (b'{"uid":"a\\u0041"', None), (b'{"host_id": "abc"}', "abc"),
        (b'{"host_id": "abc", "data": "more text"}', None),
    ],
)  # fmt: skip
def test_only_what_looks_like_an_id_is_shown_as_one(payload: bytes, uid: str | None) -> None:
    assert sender_of("x", payload).get("uid") == uid


def test_a_long_channel_is_cut() -> None:
    assert sender_of("x" * 5000, b"") == {"channel": "x" * 200}
    assert sender_of("socket.io#/chat#room#with#more#", b"") == {"channel": "socket.io#/chat#"}
