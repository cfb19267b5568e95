"""Fast path of long polling: answers as through aiohttp, and connections handed back to it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import suppress

import pytest
from aiohttp import web

from rtserver.engine.transports import polling_fastpath
from tests.engine.conftest import POLLING, Served, eventually
from tests.engine.wire import Wire, request


async def opened(served: Served, **headers: str) -> tuple[Wire, str]:
    """A connection that was taken over after its handshake, and the query of the session's requests."""
    wire = await served.wire()
    answer = await wire.ask(request("GET", POLLING, **headers))
    assert answer.status == 200
    assert len(served.engine._state.idle_connections) == 1
    return wire, f"{POLLING}&sid={served.listener.last.session.id}"


async def test_a_client_polls_and_posts_over_one_connection(serve):
    served = await serve(echo=True)
    wire, query = await opened(served)
    for at in range(3):
        posted = await wire.ask(request("POST", query, f"4hello {at}".encode()))
        assert (posted.status, posted.body, posted.headers["content-type"]) == (200, b"ok", "text/html")
        polled = await wire.ask(request("GET", query))
        assert (polled.status, polled.text) == (200, f"4hello {at}")
        assert polled.headers["content-type"] == "text/plain; charset=UTF-8"
        assert polled.headers["cache-control"] == "no-store"
        assert "date" in polled.headers
    assert len(served.engine._state.idle_connections) == 1


async def test_a_hanging_poll_receives_all_messages_of_one_iteration(serve):
    served = await serve()
    wire, query = await opened(served)
    await wire.send(request("GET", query))
    await eventually(lambda: served.listener.last.session.poll is not None)
    for message in ("one", "two", b"three"):
        served.listener.last.send(message)
    assert (await wire.answer()).text == "4one\x1e4two\x1ebdGhyZWU="


async def test_a_request_may_be_split_at_every_byte(serve):
    served = await serve()
    wire, query = await opened(served)
    for byte in request("POST", query, b"4caf\xc3\xa9\x1e4b"):
        await wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.answer()).body == b"ok"
    assert served.listener.last.messages == ["café", "b"]


async def test_pipelined_requests_are_answered_in_order(serve):
    served = await serve(echo=True)
    wire, query = await opened(served)
    get = request("GET", query)
    await wire.send(request("POST", query, b"4a") + get + request("POST", query, b"4b") + get)
    assert [(await wire.answer()).text for _ in range(4)] == ["ok", "4a", "ok", "4b"]


@pytest.mark.parametrize(
    "raw",
    [
        request("GET", "EIO=4&transport=polling&sid=unknown"),
        request("GET", "EIO=4&transport=polling&sid=%SID%&j=0"),
        request("PUT", "EIO=4&transport=polling&sid=%SID%"),
        request("GET", "", path="/elsewhere"),
        request("GET", "EIO=4&transport=polling&sid=%SID%", Connection="close"),
        request("POST", "EIO=4&transport=polling&sid=%SID%", b"4x", Content_Type="application/octet-stream"),
        request("POST", "EIO=4&transport=polling&sid=%SID%", b"1\r\n2\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        request("POST", "EIO=4&transport=polling&sid=%SID%", b"", Content_Length="99999999"),
        b"GARBAGE\r\n\r\n",
        b"GET /engine.io/?EIO=4&transport=polling&sid=%SID% HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        request("POST", "EIO=4&transport=polling&sid=%SID%", b"4xy").replace(b": 3\r", b": 2\r\nContent-Length: 3\r"),
        b"POST /engine.io/?EIO=4&transport=polling&sid=%SID% HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n\r\n4x",
        b"GET /engine.io/?EIO=4&transport=polling&sid=%SID% HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET /engine.io/?EIO=4&transport=polling&sid=%SID% HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET /engine.io/?EIO=4&transport=polling&sid=%SID% HTTP/1.1\r\nHost: a\r\nA: b\rContent-Length: 9\r\n\r\n",
        b"GET /engine.io/?EIO=4&transport=polling&sid=%SID% HTTP/1.1\r\nHost: a\r\nA: \x1b[2J\r\n\r\n",
        request("GET", "EIO=4&transport=polling&sid=%SID%", Connection="close\r\nConnection: keep-alive"),
        b"GET /" + b"a" * polling_fastpath.MAX_HEAD + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_an_unusual_request_is_answered_as_by_aiohttp(serve, raw):
    served = await serve()
    wire, query = await opened(served)
    # The same bytes on a new connection are answered by aiohttp alone.
    other = await serve()
    _, twin = await opened(other)
    for side in (served, other):
        side.listener.last.send("so that no poll hangs")
    answer = await wire.ask(raw.replace(b"%SID%", query.rpartition("=")[2].encode()))
    expected = await other.ask(raw.replace(b"%SID%", twin.rpartition("=")[2].encode()))
    assert (answer.status, answer.body) == (expected.status, expected.body)
    assert answer.headers.get("connection") == expected.headers.get("connection")


@pytest.mark.parametrize("part", [b"P", b"POST /x HTTP/1.1\r\nHost: a\r\nX: ", b"GET / HTTP/1.1\r\nHost: a\r\n\r"])
async def test_a_partial_second_request_is_never_parsed_as_a_request_of_its_own(serve, part):
    served = await serve()
    wire = await served.wire()
    answer = await wire.ask(request("GET", POLLING) + part)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await wire.ended() == b""
    assert not served.engine._state.idle_connections


async def test_line_ends_behind_the_first_request_are_ignored(serve):
    served = await serve()
    wire = await served.wire()
    await wire.ask(request("GET", POLLING) + b"\r\n\r\n")
    query = f"{POLLING}&sid={served.listener.last.session.id}"
    assert (await wire.ask(request("POST", query, b"4x"))).body == b"ok"


async def test_reading_pauses_while_a_client_does_not_read_its_responses(serve):
    served = await serve()
    wire, query = await deaf(served)
    post, count = request("POST", query, b"6"), 5000
    sending = asyncio.create_task(wire.send(post * count))
    (connection,) = served.engine._state.idle_connections
    await eventually(lambda: connection._reading_paused)
    assert connection._transport.get_write_buffer_size() < 2 * polling_fastpath.MAX_BODY
    assert len(connection._buffer) < 8 * polling_fastpath.MAX_BODY
    for _ in range(count):
        assert (await wire.answer()).body == b"ok"
    await sending


async def test_a_client_that_never_reads_its_responses_is_aborted(serve, monkeypatch):
    monkeypatch.setattr(polling_fastpath, "IDLE_SECONDS", 0.01)
    served = await serve()
    wire, query = await deaf(served)
    sending = asyncio.create_task(wire.send(request("POST", query, b"6") * 5000))
    (connection,) = served.engine._state.idle_connections
    await eventually(lambda: connection._reading_paused)
    served.engine._state.idle_wheel._tick = 0.01
    connection.fire()
    await eventually(lambda: not served.engine._state.idle_connections)
    with suppress(ConnectionError):
        await sending


async def test_a_client_that_never_stops_sending_does_not_block_the_loop(serve):
    served = await serve()
    wire, query = await opened(served)
    post, count = request("POST", query, b"4x"), 20_000
    loop, messages, turns = asyncio.get_running_loop(), served.listener.last.messages, [0]

    def turn():
        turns.append(len(messages))
        if turns[-1] < count:
            loop.call_soon(turn)

    loop.call_soon(turn)
    sending = asyncio.create_task(wire.send(post * count))
    for _ in range(count):
        assert (await wire.answer()).body == b"ok"
    await sending
    assert (
        max(later - earlier for earlier, later in itertools.pairwise(turns)) * len(post)
        <= 2**18 + polling_fastpath.MAX_BODY
    )


async def deaf(served: Served) -> tuple[Wire, str]:
    """A connection on the fast path with tiny buffers, whose client does not read its responses."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.connect(("127.0.0.1", served.port))
    wire = await served.wire(sock=listening)
    answer = await wire.ask(request("GET", POLLING))
    assert answer.status == 200
    (connection,) = served.engine._state.idle_connections
    connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return wire, f"{POLLING}&sid={served.listener.last.session.id}"


async def test_answers_that_are_not_read_are_counted_with_the_rest(serve):
    """What a poll took waits for its connection: a client could have any amount sent so, and not read it."""
    served = await serve(outbox_total=8_000_000)
    backpressure = served.engine._state.backpressure
    wire, query = await deaf(served)
    (connection,) = served.engine._state.idle_connections
    transport = connection._transport
    served.listener.last.send("x" * 7_000_000)
    await wire.send(request("GET", query))
    await eventually(lambda: transport.get_write_buffer_size() > 4_000_000)
    assert backpressure.total > 4_000_000
    # Another client is sent more than there is room for: the bytes that are not read make room.
    _, other = await served.poll_session()
    other.send("y" * 3_900_000)
    await eventually(lambda: connection not in served.engine._state.idle_connections)
    assert not other.reasons
    assert served.metrics.slow_clients == 1
    assert other.session.waiting > 3_900_000
    assert backpressure.total >= 3_900_000
    assert backpressure.total < 4_000_000


async def test_answers_that_are_read_slowly_arrive(serve):
    served = await serve()
    wire, query = await deaf(served)
    served.listener.last.send("x" * 3_000_000)
    await wire.send(request("GET", query))
    await eventually(lambda: served.engine._state.backpressure.total)
    assert len((await wire.answer()).body) == 3_000_001
    await eventually(lambda: not served.engine._state.backpressure.total)


async def test_an_invalid_payload_is_refused_and_ends_the_session(serve):
    served = await serve()
    wire, query = await opened(served)
    answer = await wire.ask(request("POST", query, b"9what"))
    assert (answer.status, answer.json()) == (400, {"code": 3, "message": "Bad request"})
    assert await served.listener.last.closed() == "parse error"
    assert (await wire.ask(request("GET", query))).json()["code"] == 1


async def test_a_posted_close_packet_releases_the_poll(serve):
    served = await serve()
    wire, query = await opened(served)
    await wire.send(request("GET", query))
    await eventually(lambda: served.listener.last.session.poll is not None)
    assert (await served.ask(request("POST", query, b"1"))).body == b"ok"
    assert (await wire.answer()).text == "6"
    assert await served.listener.last.closed() == "transport close"


async def test_a_poll_whose_connection_is_lost_ends_the_session(serve):
    served = await serve()
    wire, query = await opened(served)
    await wire.send(request("GET", query))
    await eventually(lambda: served.listener.last.session.poll is not None)
    wire.abort()
    assert await served.listener.last.closed() == "transport error"
    await eventually(lambda: not served.engine._state.idle_connections)


async def test_the_answer_to_a_post_waits_while_the_layer_above_is_busy(serve):
    served = await serve()
    wire, query = await opened(served)
    recorder = served.listener.last
    receive = recorder.receive

    def busy_after_the_first(message):
        receive(message)
        if message == "1":
            recorder.session.pause()

    recorder.receive = busy_after_the_first
    await wire.send(request("POST", query, b"41\x1e42\x1e43") + request("POST", query, b"44"))
    await eventually(lambda: recorder.session.paused)
    assert recorder.messages == ["1"]
    recorder.session.resume()
    assert [(await wire.answer()).body for _ in range(2)] == [b"ok", b"ok"]
    assert recorder.messages == ["1", "2", "3", "4"]


async def test_a_request_of_another_origin_is_checked_by_aiohttp(serve):
    served = await serve(cors_allowed_origins=["http://good"])
    wire, query = await opened(served, Origin="http://good")
    posted = await wire.ask(request("POST", query, b"4x", Origin="http://good"))
    assert posted.headers["access-control-allow-origin"] == "http://good"
    assert len(served.engine._state.idle_connections) == 1
    assert (await wire.ask(request("POST", query, b"4x", Origin="http://evil"))).status == 403


async def test_a_request_to_another_host_is_checked_by_aiohttp(serve):
    """A proxy may send the requests of several sites over one connection; the origin is compared with the host."""
    served = await serve()
    wire, query = await opened(served, Origin="http://evil", Host="evil")
    posted = await wire.ask(request("POST", query, b"4x", Origin="http://evil", Host="evil"))
    assert posted.headers["access-control-allow-origin"] == "http://evil"
    assert len(served.engine._state.idle_connections) == 1
    assert (await wire.ask(request("POST", query, b"4x", Origin="http://evil", Host="good"))).status == 403


async def test_without_an_origin_the_host_does_not_matter(serve):
    served = await serve()
    wire, query = await opened(served, Host="one")
    assert (await wire.ask(request("POST", query, b"4x", Host="two"))).status == 200
    assert len(served.engine._state.idle_connections) == 1
    assert (await wire.ask(request("POST", query, b"4x", Origin="http://evil", Host="one"))).status == 403


async def test_middlewares_of_the_application_see_every_request(serve):
    seen = []

    @web.middleware
    async def look(req, handler):
        seen.append(req.method)
        return await handler(req)

    served = await serve(middlewares=[look])
    wire = await served.wire()
    await wire.ask(request("GET", POLLING))
    query = f"{POLLING}&sid={served.listener.last.session.id}"
    assert (await wire.ask(request("POST", query, b"4x"))).body == b"ok"
    assert seen == ["GET", "POST"]
    assert not served.engine._state.idle_connections


async def test_an_idle_connection_is_closed(serve, monkeypatch):
    monkeypatch.setattr(polling_fastpath, "IDLE_SECONDS", 0.01)
    served = await serve()
    served.engine._state.idle_wheel._tick = 0.01
    wire, _ = await opened(served)
    assert await wire.ended() == b""
    await eventually(lambda: not served.engine._state.idle_connections)


async def test_a_thousand_polls_leave_no_trace(serve):
    served = await serve(echo=True)
    wire, query = await opened(served)
    for _ in range(1000):
        await wire.send(request("POST", query, b"4x") + request("GET", query))
        assert (await wire.answer()).body == b"ok"
        assert (await wire.answer()).body == b"4x"
    await wire.ask(request("POST", query, b"1"))
    await wire.close()
    await eventually(lambda: not served.engine._state.idle_connections)
    await served.deserted()
