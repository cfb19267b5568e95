"""Whoever can write to Redis can say anything on the cluster's channels: it is counted, ignored, and harms nobody."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtserver.cluster.adapter import request_handlers
from rtserver.cluster.adapter.pending_replies import PendingAcks, PendingReplies
from rtserver.protocol.adapter import Channels
from tests.cluster.instances import Instance
from tests.support.eventually import eventually

Cluster = Callable[..., Awaitable[list[Instance]]]
CHAT = Channels("socket.io", "/chat")
OPEN = "@the-open-request"


def link(instance: Instance) -> Any:
    return instance.adapter._links["/chat"]


async def settled(instance: Instance, client: redis.asyncio.Redis) -> None:
    """Everything published before has been looked at."""
    instance.chat.heard.clear()
    await client.publish(CHAT.request, b'{"uid":"x","type":6,"data":["note","settled"]}')
    await eventually(lambda: instance.chat.heard == ["settled"])


NAMES = (
    "uid", "requestId", "type", "opts", "rooms", "except", "flags", "packet", "nsp", "data", "sockets", "id", "sid",
    "room", "close", "clientCount", "timeout", "handshake",
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-1, 10) | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
LEAVES |= st.sampled_from([OPEN, "/chat", "connect", "note", 2**63])
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


def _json(value: Any) -> bytes:
    return json.dumps(value, default=lambda blob: blob.decode("latin1")).encode()


PAYLOADS = st.binary(max_size=40) | JUNK.map(_json) | JUNK.map(msgpack.packb)
PAYLOADS |= st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=8).flatmap(
    lambda body: st.sampled_from([_json(body), msgpack.packb(body), msgpack.packb(["uid", body, body])])
)


@pytest.mark.parametrize("channel", [CHAT.broadcast, CHAT.request, CHAT.response, "socketio"])
async def test_no_message_stops_a_server_or_fails_in_it(
    cluster: Cluster, redis_client: redis.asyncio.Redis, channel: str
) -> None:
    one, two = await cluster()

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.lists(PAYLOADS, min_size=5, max_size=30))
    def collect(payloads: list[bytes]) -> None:
        everything.extend(payloads)

    everything: list[bytes] = []
    collect()
    with (
        link(one).expecting(PendingAcks()) as first,
        link(one).expecting(PendingReplies(10**6, items="sockets")) as second,
    ):
        for number, payload in enumerate(everything):
            open_id = first if number % 2 else second
            await redis_client.publish(channel, payload.replace(OPEN.encode(), open_id.encode().ljust(len(OPEN))))
        await settled(one, redis_client)
    for instance in (one, two):
        assert instance.metrics.rejections["cluster_handler"] == 0
        assert instance.metrics.rejections["cluster_message"] > 0
    sockets: Any = await one.chat.fetch_sockets()
    assert not sockets.partial


MALFORMED = {
    CHAT.broadcast: [
        b"", b"{}", b"[]", msgpack.packb([]), msgpack.packb(["u", {}]), msgpack.packb(["u", {}, {}]),
        msgpack.packb(["u", {"type": 3, "data": ["x"], "nsp": "/chat"}, {}]),
        msgpack.packb(["u", {"type": 2, "data": ["disconnect"], "nsp": "/chat"}, {}]),
        msgpack.packb(["u", {"type": 2, "data": "x", "nsp": "/chat"}, {}]),
        msgpack.packb(["u", {"type": 2, "data": [], "nsp": "/chat"}, {}]),
        msgpack.packb(["u", {"type": 2, "data": ["x"], "nsp": "/chat"}, []]),
        msgpack.packb(["u", {"type": 2, "data": ["x"], "nsp": "/chat"}, {"rooms": "red"}]),
        msgpack.packb(["u", {"type": 2, "data": ["x"], "nsp": "/chat"}, {"rooms": [[]]}]),
        msgpack.packb(["u", {"type": 2, "data": ["x"], "nsp": "/chat"}, {"except": [True]}]),
        msgpack.packb(["u", {"type": 2, "data": ["x"], "nsp": "/chat"}, {"rooms": [""] * 200_001}]),
        b"\x91" * 5000 + b"\x90", b"\xdd\xff\xff\xff\xff",
    ],
    CHAT.request: [
        b"", b"5", b"{", b'{"type":99}', b'{"type":8}', b'{"type":"2"}', b'{"type":true,"uid":[]}',
        b'{"type":1,"uid":5}', b'{"type":1,"requestId":{}}',
        b'{"type":2,"opts":{},"rooms":"x"}', b'{"type":2,"opts":5,"rooms":["x"]}',
        b'{"type":4}', b'{"type":5}', b'{"type":6,"data":[]}', b'{"type":6,"data":[null]}', b'{"type":7,"packet":{}}',
        msgpack.packb({"type": 7, "requestId": "r", "packet": {"type": 2, "data": ["connect"], "nsp": "/chat"}}),
        b'{"type":6,"data":["note",' + b"[" * 5000 + b"]" * 5000 + b"]}",
    ],
    CHAT.response: [b"", b"5", b"[]", b'"x"', b"\xc0", b"\x93", b"\xff" * 20],
    "socketio": [b"", b"null", b'{"method":"shutdown"}', b'{"method":"emit"}'],
}  # fmt: skip


@pytest.mark.parametrize("channel", MALFORMED)
async def test_every_malformed_message_is_counted(
    cluster: Cluster, redis_client: redis.asyncio.Redis, channel: str
) -> None:
    (one,) = await cluster(1)
    for payload in MALFORMED[channel]:
        await redis_client.publish(channel, payload)
    await settled(one, redis_client)
    assert one.metrics.rejections == {"cluster_message": len(MALFORMED[channel])}


BAD_ANSWERS = [
    {}, {"sockets": None}, {"sockets": {}}, {"sockets": [{}] * 200_001}, {"rooms": []}, {"type": 5, "sockets": "x"},
]  # fmt: skip


async def test_an_answer_without_what_was_asked_is_no_answer(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    replies = PendingReplies(1, items="sockets")
    with link(one).expecting(replies) as open_id:
        for answer in BAD_ANSWERS:
            await redis_client.publish(CHAT.response, json.dumps({"requestId": open_id, **answer}))
        await settled(one, redis_client)
        assert (replies.responses, replies.missing) == ([], 1)
        assert one.metrics.rejections["cluster_message"] == len(BAD_ANSWERS)
    acks = PendingAcks()
    with link(one).expecting(acks) as open_id:
        for count in (-1, True, "1", None, 1.5):
            await redis_client.publish(
                CHAT.response, json.dumps({"type": 8, "requestId": open_id, "clientCount": count})
            )
        await settled(one, redis_client)
    assert one.metrics.rejections["cluster_message"] == len(BAD_ANSWERS) + 5


async def test_what_concerns_nobody_here_is_not_even_decoded(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    """No message here could be decoded: what was looked at would be counted."""
    (one,) = await cluster(1)
    await one.client("red")
    own = link(one).uid.encode()
    for room in (b"blue", b"red-too", b"r", b"7"):
        await redis_client.publish(b"socket.io#/chat#" + room + b"#", b"garbage")
    for head in (b"\x93\xa6" + own, b"\x93\xa6" + own + b"\xc1"):
        await redis_client.publish(CHAT.broadcast, head)
    for head in (b'{"uid":"' + own + b'",', b"\x84\xa3uid\xa6" + own):
        await redis_client.publish(CHAT.request, head + b"garbage")
    await redis_client.publish(CHAT.response, b'{"requestId": garbage')
    await settled(one, redis_client)
    assert one.metrics.rejections == {}
    await redis_client.publish("socket.io#/chat#red#", b"garbage")
    await settled(one, redis_client)
    assert one.metrics.rejections == {"cluster_message": 1}


async def test_answers_of_strangers_and_repeated_ones_change_nothing(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, two = await cluster(requests_timeout=0.5)
    here, there = await one.client(), await two.client()
    async with redis_client.pubsub() as silent:
        await silent.subscribe(CHAT.request, CHAT.response)  # a third server, to Redis, that repeats what it hears
        await silent.get_message(timeout=5)
        asking = asyncio.create_task(one.chat.fetch_sockets())
        answer = None
        while answer is None:
            message = await silent.get_message(timeout=5)
            if message and message["channel"] == CHAT.response.encode():
                answer = message["data"]
        for payload in (answer, answer, b'{"requestId":"nobody","sockets":[{"id":"ghost"}]}'):
            await redis_client.publish(CHAT.response, payload)
        sockets: Any = await asking
    assert sorted(socket.id for socket in sockets) == sorted((here.id, there.id))
    assert sockets.partial


async def test_a_server_that_answers_late_is_waited_for_again(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, _ = await cluster(requests_timeout=0.3)
    async with redis_client.pubsub() as slow:
        await slow.subscribe(CHAT.request)
        await slow.get_message(timeout=5)
        assert (await one.chat.fetch_sockets()).partial  # type: ignore[attr-defined]
        assert link(one).unresponsive.count == 1
        message = None
        while message is None or message["type"] != "message":
            message = await slow.get_message(timeout=5)
        request_id = json.loads(message["data"])["requestId"]
        await redis_client.publish(CHAT.response, json.dumps({"requestId": request_id, "sockets": [{"id": "late"}]}))
        await settled(one, redis_client)
        assert link(one).unresponsive.count == 0
        assert not link(one)._open  # nothing of the late request is kept


async def test_requests_at_the_same_time_get_their_own_answers(cluster: Cluster) -> None:
    one, two = await cluster()
    reds = [await two.client("red") for _ in range(3)]
    blue = await two.client("blue")
    asked = [one.chat.in_("red" if n % 2 else "blue").fetch_sockets() for n in range(40)]
    for number, sockets in enumerate(await asyncio.gather(*asked)):
        wanted = {client.id for client in reds} if number % 2 else {blue.id}
        assert {socket.id for socket in sockets} == wanted
    assert await asyncio.gather(*(one.chat.server_side_emit_with_ack("add", n, 1) for n in range(40))) == [
        [n + 1] for n in range(40)
    ]


async def test_a_request_with_the_id_of_ours_is_not_answered_to_ourselves(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    replies = PendingReplies(1, items="rooms")
    with link(one).expecting(replies) as open_id:
        await redis_client.publish(CHAT.request, json.dumps({"uid": "other", "requestId": open_id, "type": 1}))
        await settled(one, redis_client)
    assert replies.responses == []


async def test_no_more_requests_run_at_a_time_than_there_is_place_for(
    cluster: Cluster, redis_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others say how many there are, and a handler how long each of them takes."""
    monkeypatch.setattr(request_handlers, "MAX_RUNNING", 10)
    (one,) = await cluster(1)
    client = await one.client()
    for _ in range(25):
        await redis_client.publish(CHAT.request, b'{"uid":"x","type":6,"data":["slow"]}')
    ask = {"type": 2, "data": ["ask"], "nsp": "/chat"}
    for _ in range(5):
        asking = {"uid": "x", "requestId": "r", "type": 7, "packet": ask, "opts": {"flags": {"timeout": 600_000}}}
        await redis_client.publish(CHAT.request, msgpack.packb(asking))
    await eventually(lambda: one.metrics.rejections["cluster_busy"] == 20)
    assert len(one.adapter._request_handlers._tasks) == 10
    # What is over at once is still done, and so is what clients and this server ask.
    await redis_client.publish(CHAT.request, b'{"uid":"x","type":2,"opts":{"rooms":[]},"rooms":["red"]}')
    await eventually(lambda: one.chat.clients[client.id].rooms == {"red"})
    assert await one.chat.to("red").timeout(5).emit_with_ack("ask") == ["yes"]
    assert ("ask",) not in client.heard


async def test_ids_that_would_be_sent_back_are_short(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    (one,) = await cluster(1)
    for field in ("uid", "requestId"):
        body = {"uid": "x", "requestId": "r", "type": 1, field: "x" * 201}
        await redis_client.publish(CHAT.request, json.dumps(body))
    await settled(one, redis_client)
    assert one.metrics.rejections == {"cluster_message": 2}


async def test_thousands_of_sockets_of_a_server_are_all_told(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    replies = PendingReplies(1, items="sockets")
    handshake = {"headers": {"user-agent": "x" * 80}}
    sockets = [{"id": f"s{n}", "handshake": handshake, "rooms": ["a"]} for n in range(30_000)]
    with link(one).expecting(replies) as open_id:
        await redis_client.publish(CHAT.response, json.dumps({"requestId": open_id, "sockets": sockets}))
        assert await replies.wait(20)
    assert len(replies.responses[0].items("sockets")) == 30_000
