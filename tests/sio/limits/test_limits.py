"""Limits: each one as a client sees it that exceeds it."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from rtserver.config.field_types import DEEPEST
from rtserver.errors import TooLarge
from rtserver.sio.limits.limits import Limits
from rtserver.sio.namespace.namespace import Namespace, event
from rtserver.sio.server import Server
from rtserver.telemetry.metrics import Metrics
from tests.sio.conftest import Tokens, eventually


class Open(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.go_on = asyncio.Event()
        self.ended = []

    async def on_disconnect(self, client, reason):
        self.ended.append(reason)

    @event("echo", rate=None)
    async def echo(self, client, *args):
        return args

    @event("wait", rate=None)
    async def wait(self, client):
        await self.go_on.wait()

    @event("join")
    async def join(self, client, room: str):
        await client.join(room)

    @event("patient")
    async def patient(self, client):
        try:
            await self.go_on.wait()
        finally:
            self.ended.append("cancelled")

    @event("stubborn")
    async def stubborn(self, client):
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "all the same"


def test_limits_are_arguments_of_the_server():
    arguments = {"max_rooms": 3, "logger": False}
    assert Limits(max_depth=2).overridden_by(arguments) == Limits(max_depth=2, max_rooms=3)
    assert arguments == {"logger": False}


@pytest.mark.parametrize(("former", "now"), [("bounds", "limits"), ("occupancy", "room_presence")])
def test_a_former_name_of_an_argument_is_rejected(former, now):
    with pytest.raises(TypeError, match=now):
        Server(**{former: None})


async def test_the_room_limit_applies_to_sockets_join_too(serve, raw):
    """Rooms beyond the limit are left out and counted: one client in too many rooms must not stop the others."""
    served = await serve(Open(), max_rooms=3, max_room_length=5)
    first, second = await raw(served.url), await raw(served.url)
    ids = [await first.connect(), await second.connect()]
    assert await first.call("/", "join", "a") == []
    namespace, metrics = served.server.namespaces_by_path["/"], served.server.metrics
    await namespace.sockets_join("b", "c", "longer", "d", "b")
    full, free = (set(namespace.clients[id].rooms) for id in ids)
    assert full == {"a", "b", "c"}
    assert free == {"b", "c", "d"}
    assert metrics.drops["room"] == 3
    await namespace.to(ids[0]).sockets_join("a", "c")
    assert metrics.drops["room"] == 3


# Packets


PHOTO = '52-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


async def test_the_total_size_of_attachments_is_limited(serve, raw):
    served = await serve(Open(), max_attachment_bytes=1000)
    client = await raw(served.url)
    await client.connect()
    await client.send(PHOTO.replace("[", "7[", 1), b"x" * 500, b"y" * 500)
    assert [await client.receive() for _ in range(3)][1:] == [b"x" * 500, b"y" * 500]
    await client.send(PHOTO, b"x" * 500, b"y" * 501)
    assert await client.closed() == []
    assert served.server.metrics.rejections["packet"] == 1
    await served.deserted()


async def test_attachments_that_come_too_late_close_the_connection(serve, raw):
    served = await serve(Open(), attachment_timeout=0.1)
    client = await raw(served.url)
    await client.connect()
    await client.send(PHOTO, b"x")
    assert await client.closed() == []
    assert served.server.metrics.rejections["packet"] == 1
    await served.deserted()


async def test_attachments_in_time_leave_no_timer_behind(serve, raw):
    served = await serve(Open(), attachment_timeout=0.2)
    client = await raw(served.url)
    await client.connect()
    waiting = len(served.server.engine.wheel)
    await client.send(PHOTO.replace("[", "7[", 1), b"x", b"y")
    await client.receive()
    assert len(served.server.engine.wheel) == waiting
    assert await client.call("/", "echo", 1) == [b"x", b"y", 1][2:]


@pytest.mark.parametrize(("left", "right"), ["[]", ('{"a":', "}")])
async def test_the_largest_allowed_depth_can_be_echoed(serve, raw, left, right):
    served = await serve(Open(), max_depth=DEEPEST)
    client = await raw(served.url)
    await client.connect()

    def nested(value, levels):
        return left * levels + value + right * levels

    await client.send('27["echo",' + nested("1", DEEPEST - 1) + "]")
    assert await client.receive() == "37[" + nested("1", DEEPEST - 1) + "]"
    photo = '["echo",' + nested('{"_placeholder":true,"num":0}', DEEPEST - 2) + "]"
    await client.send(f"51-8{photo}", b"x")
    assert [await client.receive(), await client.receive()] == [f"61-8{photo}".replace('"echo",', ""), b"x"]


async def test_a_message_that_is_too_large_closes_the_connection(serve, raw):
    served = await serve(Open(), max_http_buffer_size=1000)
    client = await raw(served.url)
    await client.connect()
    await client.send('2["echo","' + "x" * 1000 + '"]')
    assert await client.closed() == []
    assert served.server.metrics.rejections == {"payload": 1}
    async with aiohttp.ClientSession() as http:
        address = f"{served.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(address) as answer:
            address += "&sid=" + json.loads((await answer.text())[1:])["sid"]
        async with http.post(address, data="x" * 1001) as answer:
            assert answer.status == 413
    assert served.server.metrics.rejections == {"payload": 2}
    await served.deserted()


async def test_the_depth_of_arrays_and_objects_is_limited(serve, raw):
    served = await serve(Open(), max_depth=5)
    client = await raw(served.url)
    await client.connect()
    assert await client.call("/", "echo", [[[["x" * 20]]]]) == [[[[["x" * 20]]]]]
    await client.send(f'2["echo",{"[" * 5}"{"x" * 20}"{"]" * 5}]')
    assert await client.closed() == []


async def test_integers_beyond_64_bit_become_floats_as_in_a_browser(serve, raw):
    client = await raw((await serve(Open())).url)
    await client.connect()
    await client.send(f'21["echo",{2**63},{10**100},{-(10**30)}]')
    answer = json.loads(str(await client.receive())[2:])
    assert answer == [2**63, 1e100, -1e30]


async def test_the_length_of_an_event_name_is_limited(serve, raw):
    client = await raw((await serve(Open(), max_event_length=10)).url)
    await client.connect()
    (answer,) = await client.call("/", "x" * 10)
    assert answer["error"]["code"] == "unknown_event"
    (answer,) = await client.call("/", "x" * 11)
    assert answer["error"]["code"] == "invalid_payload"


# Clients


async def test_the_length_of_a_room_name_is_limited(serve, raw):
    client = await raw((await serve(Open(), max_room_length=10)).url)
    await client.connect()
    assert await client.call("/", "join", "x" * 10) == []
    (answer,) = await client.call("/", "join", "x" * 11)
    assert answer["error"]["code"] == TooLarge.code


async def test_reading_pauses_while_the_backlog_is_full_and_nothing_is_lost(serve, raw):
    namespace = Open()
    served = await serve(namespace, max_backlog=10)
    client = await raw(served.url)
    await client.connect()
    await client.send('2["wait"]', *(f'2{id}["echo",{id}]' for id in range(100)))
    (connection,) = served.server.connections.values()
    await eventually(lambda: connection.engine_session.paused)
    assert connection.backlog.events <= 10
    namespace.go_on.set()
    assert [await client.receive() for _ in range(100)] == [f"3{id}[{id}]" for id in range(100)]
    assert served.server.metrics.reads_paused >= 1
    assert b"rtserver_reads_paused_total" in served.server.metrics.exposition()


# Handlers


async def test_a_handler_that_times_out_is_cancelled_and_the_next_event_is_handled(serve, raw):
    namespace = Open()
    served = await serve(namespace, handler_timeout=0.1)
    client = await raw(served.url)
    await client.connect()
    (answer,) = await client.call("/", "patient")
    assert answer["error"]["code"] == "timeout"
    assert namespace.ended == ["cancelled"]
    assert await client.call("/", "echo", 1) == [1]
    assert served.server.metrics.received["/", "timeout"] == 1


async def test_a_handler_that_ignores_its_cancellation_is_harmless(serve, raw):
    served = await serve(Open(), handler_timeout=0.1)
    client = await raw(served.url)
    await client.connect()
    assert await client.call("/", "stubborn") == ["all the same"]
    assert await client.call("/", "stubborn") == ["all the same"]


async def test_a_handler_that_finishes_in_time_leaves_no_timer_behind(serve, raw):
    namespace = Open()
    served = await serve(namespace, handler_timeout=5)
    client = await raw(served.url)
    await client.connect()
    waiting = len(served.server.engine.wheel)
    await client.send('21["wait"]')
    await eventually(lambda: len(served.server.engine.wheel) == waiting + 1)
    namespace.go_on.set()
    assert await client.receive() == "31[]"
    assert len(served.server.engine.wheel) == waiting


async def test_the_handler_timeout_applies_to_disconnect_handlers_too(serve, raw):
    class Slow(Open, path="/slow"):
        async def on_disconnect(self, client, reason):
            await self.go_on.wait()

    served = await serve(Slow(), handler_timeout=0.1)
    client = await raw(served.url)
    await client.connect("/slow")
    await client.close()
    await served.deserted()


# Outgoing messages


async def test_a_client_that_does_not_read_misses_volatile_events_and_is_closed_as_slow(serve, raw):
    served = await serve(Open(), outbox_limit=100_000)
    slow, well = await raw(served.url), await raw(served.url)
    sid = await slow.connect()
    await well.connect()
    metrics, namespace = served.server.metrics, served.server.namespaces_by_path["/"]
    client = namespace.clients[sid]
    slow._socket._response.connection.transport.pause_reading()
    while not metrics.drops["volatile"]:
        await namespace.to(sid).volatile.emit("position", "x" * 100_000)
        await asyncio.sleep(0)
    assert client.connected
    for _ in range(10):
        await client.emit("news", "x" * 100_000)
    await eventually(lambda: not client.connected)
    assert metrics.slow_clients == 1
    assert await well.call("/", "echo", 1) == [1]
    text = metrics.exposition().decode()
    assert "rtserver_slow_clients_total 1.0" in text
    assert 'rtserver_dropped_total{reason="volatile"}' in text


async def test_a_polling_client_that_does_not_poll_is_closed_as_slow(serve):
    served = await serve(Open(), outbox_limit=10_000)
    async with aiohttp.ClientSession() as http:
        address = f"{served.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(address) as answer:
            address += "&sid=" + json.loads((await answer.text())[1:])["sid"]
        await (await http.post(address, data="40")).read()
        await (await http.get(address)).read()
        namespace = served.server.namespaces_by_path["/"]
        for number in range(100):
            await namespace.volatile.emit("position", "x" * 1000)
            assert served.server.metrics.drops["volatile"] == number + 1
        for _ in range(200):
            await namespace.emit("news", "x" * 1000)
    await served.deserted()
    assert served.server.metrics.slow_clients == 1


# Connections


def too_many(limit, **data):
    return {"message": "Too many connections", "data": {"code": "rate_limited", "limit": limit, **data}}


async def test_a_connection_beyond_the_limit_gets_an_error_and_is_closed(serve, raw):
    served = await serve(Open(), max_connections=2)
    first, second = await raw(served.url), await raw(served.url)
    await first.connect()
    await second.connect()
    third = await raw(served.url)
    assert await third.refused() == too_many("server")
    assert await third.refused("/other") == too_many("server")
    assert await third.closed() == []
    metrics = served.server.metrics
    assert (metrics.refusals["rate_limited"], metrics.ends["turned_away"]) == (2, 1)
    assert await first.call("/", "echo", 1) == [1]
    await second.close()
    await eventually(lambda: served.server.connection_limiter.connections == 1)
    await (await raw(served.url)).connect()


async def test_the_connections_of_one_address_are_limited(serve, raw):
    served = await serve(Open(), max_connections_per_ip=1, trusted_proxies=["127.0.0.1"])

    clients = []

    async def come_from(address):
        clients.append(await raw(served.url, **{"X-Forwarded-For": address}))
        return clients[-1]

    first = await come_from("10.0.0.1")
    await first.connect()
    assert await (await come_from("10.0.0.1")).refused() == too_many("address")
    await (await come_from("10.0.0.2")).connect()
    await (await come_from("2001:db8::1")).connect()
    # One customer has 64 bits of addresses.
    assert await (await come_from("2001:db8::2")).refused() == too_many("address")
    await (await come_from("2001:db8:0:1::1")).connect()
    assert await (await come_from("::ffff:10.0.0.2")).refused() == too_many("address")
    await first.close()
    await eventually(lambda: "10.0.0.1" not in served.server.connection_limiter.addresses)
    await (await come_from("10.0.0.1")).connect()


async def test_the_connections_of_one_user_are_limited(serve, raw):
    class Mine(Open, path="/mine"):
        auth = "required"

    class Other(Mine, path="/other"):
        pass

    served = await serve(Mine(), Other(), authenticator=Tokens(), max_connections_per_user=1)
    first = await raw(served.url)
    await first.connect("/mine", {"token": "alice"})
    # Another namespace on the same connection is not counted again.
    await first.connect("/other", {"token": "alice"})
    second = await raw(served.url)
    assert await second.refused("/mine", {"token": "alice"}) == too_many("user")
    assert await second.closed() == []
    third = await raw(served.url)
    await third.connect("/mine", {"token": "bob"})
    # A connection that is in a namespace stays open.
    assert await third.refused("/other", {"token": "alice"}) == too_many("user")
    assert await third.call("/mine", "echo", 1) == [1]
    await first.close()
    await eventually(lambda: list(served.server.connection_limiter.users) == ["bob"])
    await third.connect("/other", {"token": "alice"})


async def test_the_connect_rate_of_one_address_is_limited(serve, raw):
    served = await serve(Open(), connect_rate="1/m")
    clients = [await raw(served.url) for _ in range(2)]
    assert [await client.connect() for client in clients]
    refusal = await (await raw(served.url)).refused()
    wait = refusal["data"].pop("retryAfter")
    assert refusal == too_many("rate")
    assert 50 < wait <= 60


async def test_too_many_rejected_connections_that_stay_are_refused_by_http(serve, raw, monkeypatch):
    monkeypatch.setattr("rtserver.sio.limits.connection_limits.MAX_REJECTED", 2)
    served = await serve(Open(), max_connections=1)
    first = await raw(served.url)
    await first.connect()
    silent = [await raw(served.url) for _ in range(2)]
    with pytest.raises(Exception, match="400"):
        await raw(served.url)
    for client in silent:
        await client.close()
    await eventually(lambda: served.server.connection_limiter.rejected == 0)
    assert await (await raw(served.url)).refused() == too_many("server")


async def test_the_javascript_client_gets_the_reason_and_does_not_reconnect(serve, js):
    served = await serve(Open(), max_connections=1)
    await js(served.url)
    for transports in (["websocket"], ["polling"]):
        turned_away = await js(served.url, transports=transports, wait=False)
        assert await turned_away.connect_error() == too_many("server")
    await eventually(lambda: len(served.server.connections) == 1)


async def test_sessions_that_join_nothing_are_counted(serve, raw):
    served = await serve(Open(), connect_timeout=0.1)
    assert await (await raw(served.url)).closed() == []
    assert served.server.metrics.ends == {"never_joined": 1}
    assert b'rtserver_connections_ended_total{reason="never_joined"} 1.0' in served.server.metrics.exposition()


def test_the_metrics_of_a_fresh_server_are_complete():
    text = Metrics().exposition().decode()
    for name in ("rtserver_reads_paused_total", "rtserver_slow_clients_total"):
        assert f"{name} 0.0" in text
