"""WebSocket transport: packets in both directions, invalid frames, slow and silent clients."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket

import aiohttp
import pytest

from rtserver.engine.session.fair_queue import MAX_MESSAGES, FairQueue
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.transports.websocket import WebSocket
from rtserver.protocol.frames import BINARY, CLOSE, CONTINUATION, LARGE_BYTES, PING, PONG, TEXT
from tests.engine.conftest import eventually
from tests.engine.wire import Wire, client_frame, upgrade

WEBSOCKET = "EIO=4&transport=websocket"


async def test_messages_go_both_ways(serve):
    served = await serve(echo=True)
    wire, recorder = await served.websocket()
    await wire.frame("4é", b"\x01\x02", "4" + "x" * 70_000, b"")
    assert [await wire.receive() for _ in range(4)] == [
        (TEXT, "4é".encode()), (BINARY, b"\x01\x02"), (TEXT, b"4" + b"x" * 70_000), (BINARY, b""),
    ]  # fmt: skip
    assert recorder.messages == ["é", b"\x01\x02", "x" * 70_000, b""]
    assert recorder.session.transport == "websocket"


async def test_the_open_packet_offers_no_upgrade(serve):
    served = await serve(ping_interval=0.5, ping_timeout=1.25)
    wire = await served.wire()
    await wire.upgrade()
    packet = json.loads((await wire.text())[1:])
    assert packet == {
        "sid": served.listener.last.session.id,
        "upgrades": [],
        "pingInterval": 500,
        "pingTimeout": 1250,
        "maxPayload": 1_000_000,
    }


async def test_a_message_and_its_attachments_stay_together_and_in_order(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    recorder.session.push(PreparedMessage(b"451-[]", b"\x01", b"\x02"))
    recorder.session.send_answer(b"4last")
    assert [await wire.receive() for _ in range(4)] == [
        (TEXT, b"451-[]"), (BINARY, b"\x01"), (BINARY, b"\x02"), (TEXT, b"4last"),
    ]  # fmt: skip


async def test_frames_may_be_split_at_every_byte(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    raw = client_frame("4é") + client_frame(b"\x01")
    for cut in range(len(raw) + 1):
        wire.writer.write(raw[:cut])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await wire.send(raw[cut:])
    assert await recorder.received(2 * len(raw) + 2) == ["é", b"\x01"] * (len(raw) + 1)


async def test_a_client_without_binary_support_gets_base64(serve):
    served = await serve(echo=True)
    wire, recorder = await served.websocket(f"{WEBSOCKET}&b64=1")
    await wire.frame("bAQID", "4a", b"\x04")
    assert [await wire.text() for _ in range(3)] == ["bAQID", "4a", "bBA=="]
    assert recorder.messages == [b"\x01\x02\x03", "a", b"\x04"]


async def test_revision_3_puts_the_packet_type_before_binary_data(serve):
    served = await serve(allow_eio3=True, echo=True)
    wire, recorder = await served.websocket("EIO=3&transport=websocket")
    await wire.frame("4a", b"\x04\x01\x02", "b4AQID", "2")
    assert [await wire.receive() for _ in range(4)] == [
        (TEXT, b"4a"), (BINARY, b"\x04\x01\x02"), (BINARY, b"\x04\x01\x02\x03"), (TEXT, b"3"),
    ]  # fmt: skip
    assert recorder.messages == ["a", b"\x01\x02", b"\x01\x02\x03"]


@pytest.mark.parametrize("packet", [b"", b"\x03\x01", "3", "x", "b", "bAQID"])
async def test_an_invalid_packet_of_revision_3_closes_the_session(serve, packet):
    served = await serve(allow_eio3=True)
    wire, recorder = await served.websocket("EIO=3&transport=websocket")
    await wire.frame(packet)
    assert await wire.close_code() == 1000
    assert await recorder.closed() == "parse error"


@pytest.mark.parametrize("packet", ["", "7", "x4", "2", "2probe", "b?", "é"])
async def test_an_invalid_packet_closes_the_session(serve, packet):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.frame("4before", packet, "4after")
    assert await wire.close_code() == 1000
    assert await recorder.closed() == "parse error"
    assert recorder.messages == ["before"]
    await wire.close()
    await served.deserted()


async def test_packets_of_other_states_are_ignored(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.frame("0", "5", "6", "3", "4a")
    assert await recorder.received(1) == ["a"]


async def test_a_close_packet_ends_the_session(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.frame("1", "3", "4more")
    assert await wire.close_code() == 1000
    assert await recorder.closed() == "transport close"
    assert recorder.messages == []
    await wire.close()
    await served.deserted()


# RFC 6455; tests/protocol/test_frames.py has all of its cases.


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (client_frame("4a", mask=False), 1002),
        (client_frame("4a", first=0xC1), 1002),
        (client_frame("4a", first=0x83), 1002),
        (client_frame("", first=PING), 1002),
        (client_frame(b"x" * 126, PING), 1002),
        (client_frame("4a", first=0x80), 1002),
        (client_frame("4a", first=TEXT) + client_frame("4b"), 1002),
        (client_frame(b"4\xff", TEXT), 1007),
        (client_frame(b"\x03", CLOSE), 1002),
        (client_frame(b"\x03\xee", CLOSE), 1002),
        (client_frame("4" * 1001), 1009),
        (b"\x81\xff" + b"\xff" * 12, 1009),
    ],
)
async def test_broken_frames_close_with_the_right_code(serve, raw, code):
    served = await serve(max_http_buffer_size=1000)
    wire, recorder = await served.websocket()
    await wire.send(client_frame("4before") + raw)
    assert await wire.close_code() == code
    assert await recorder.closed() == "transport error"
    assert recorder.messages == ["before"]
    await wire.close()
    await served.deserted()


async def test_a_client_that_keeps_sending_still_receives_the_close_frame(serve):
    served = await serve(max_http_buffer_size=1_000_000)
    wire, recorder = await served.websocket()
    recorder.send("last words")
    await wire.send(client_frame("4a", mask=False), *[b"\x82" * 100_000] * 20)
    assert await wire.text() == "4last words"
    assert await wire.close_code() == 1002
    assert await recorder.closed() == "transport error"


async def test_fragments_and_pings_between_them(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.send(client_frame("4Hel", first=TEXT), client_frame("you?", PING), client_frame("lo", first=0x80))
    assert await wire.receive() == (PONG, b"you?")
    assert await recorder.received(1) == ["Hello"]


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x0f\xa0bye"])
async def test_a_close_is_answered_with_its_code(serve, payload):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.send(client_frame("4last"), client_frame(payload, CLOSE), client_frame("4after"))
    assert await wire.receive() == (CLOSE, payload[:2])
    await wire.ended()
    assert await recorder.closed() == "transport close"
    assert recorder.messages == ["last"]
    await served.deserted()


async def test_a_lost_connection_ends_the_session(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    wire.abort()
    assert await recorder.closed() in ("transport close", "transport error")
    await served.deserted()


async def test_a_half_closed_connection_ends_the_session(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    wire.writer.write_eof()
    assert await recorder.closed() == "transport close"
    await wire.ended()


# The heartbeat.


async def test_a_client_that_answers_pings_stays(serve):
    served = await serve(ping_interval=0.03, ping_timeout=0.2)
    wire, recorder = await served.websocket()
    for _ in range(5):
        assert await wire.text() == "2"
        await wire.frame("3")
    assert not recorder.reasons


async def test_a_half_open_connection_ends_with_a_ping_timeout(serve):
    served = await serve(ping_interval=0.05, ping_timeout=0.05)
    wire, recorder = await served.websocket()
    assert await wire.text() == "2"
    # Nothing arrives any more, as if the network were down: no answer to the ping, no FIN.
    assert await recorder.closed() == "ping timeout"
    assert (await wire.receive())[0] == CLOSE
    await served.deserted()


async def test_revision_3_pings_by_itself(serve):
    served = await serve(allow_eio3=True, ping_interval=0.1, ping_timeout=0.1)
    wire, recorder = await served.websocket("EIO=3&transport=websocket")
    await wire.frame("2")
    assert await wire.text() == "3"
    assert await recorder.closed() == "ping timeout"


async def test_a_paused_client_does_not_time_out(serve):
    served = await serve(ping_interval=0.03, ping_timeout=0.03)
    wire, recorder = await served.websocket()
    recorder.session.pause()
    assert await wire.text() == "2"
    await wire.frame("3", "4here")
    _, silent = await served.websocket()
    assert await silent.closed() == "ping timeout"
    assert not recorder.reasons
    recorder.session.resume()
    assert await recorder.received(1) == ["here"]


@pytest.mark.parametrize("revision", [3, 4])
async def test_a_paused_client_that_leaves_is_missed(serve, revision):
    served = await serve(ping_interval=0.03, ping_timeout=0.03, allow_eio3=True)
    wire, recorder = await served.websocket(f"EIO={revision}&transport=websocket")
    recorder.session.pause()
    await wire.close()
    assert await recorder.closed() in ("transport close", "transport error")


# Flow control.


async def test_a_pause_stops_reading_and_loses_nothing(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    session, take, most = recorder.session, recorder.receive, 20_000

    def receive(message):
        take(message)
        if len(recorder.messages) % 100 == 0:
            session.pause()

    recorder.receive = receive
    sending = asyncio.create_task(wire.send(*(client_frame(f"4{number:0200}") for number in range(most))))
    while len(recorder.messages) < most:
        await eventually(lambda: session.paused or len(recorder.messages) == most)
        before = len(recorder.messages)
        await asyncio.sleep(0)
        assert len(recorder.messages) == before
        session.resume()
    await sending
    assert [int(message) for message in recorder.messages] == list(range(most))


async def test_a_client_that_never_stops_sending_does_not_block_the_loop(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    loop, count = asyncio.get_running_loop(), 100_000
    turns = [0]

    def turn():
        turns.append(len(recorder.messages))
        if turns[-1] < count:
            loop.call_soon(turn)

    recorder.receive = recorder.messages.append
    loop.call_soon(turn)
    wire.writer.write(client_frame("4") * count)
    await eventually(lambda: len(recorder.messages) == count)
    # The end of one read and the beginning of the next may share an iteration.
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) <= 2 * MAX_MESSAGES


@pytest.fixture
def shares(monkeypatch):
    """How many frames each event-loop iteration delivered."""
    shares = []
    deliver = WebSocket._deliver

    def counted(coming):
        shares.append(0)
        for message in coming:
            shares[-1] += 1
            yield message

    monkeypatch.setattr(WebSocket, "_deliver", lambda socket, coming: deliver(socket, counted(coming)))
    return shares


LARGE = "4" + "x" * LARGE_BYTES


async def test_large_messages_of_many_clients_have_an_iteration_each(serve):
    served = await serve()
    sockets = [await served.websocket() for _ in range(5)]
    loop, turns, received = asyncio.get_running_loop(), [0], []

    def turn():
        turns[0] += 1
        if len(received) < 30:
            loop.call_soon(turn)

    for number, (_, recorder) in enumerate(sockets):
        recorder.receive = lambda message, number=number: received.append((turns[0], number, message))
    loop.call_soon(turn)
    for wire, _ in sockets:
        wire.writer.write((client_frame(LARGE) + client_frame("4after")) * 3)
    await eventually(lambda: len(received) == 30)
    large = [turn for turn, _, message in received if message != "after"]
    assert len(set(large)) == 15
    for number in range(5):
        assert [message for _, who, message in received if who == number] == [LARGE[1:], "after"] * 3


async def test_more_than_an_iteration_delivers_waits_for_its_turn_too(serve, monkeypatch):
    served = await serve()
    wire, recorder = await served.websocket()
    waiting = []
    monkeypatch.setattr(FairQueue, "put", lambda queue, work: waiting.append(work))
    recorder.session.socket.data_received(client_frame("4" + "x" * 30_000) * 7)
    assert (len(recorder.messages), len(waiting)) == (3, 1)
    waiting[0]()
    assert (len(recorder.messages), len(waiting)) == (6, 2)
    waiting[1]()
    assert recorder.messages == ["x" * 30_000] * 7
    await wire.send(client_frame("4after"))
    assert (await recorder.received(8))[7] == "after"


async def test_what_follows_a_large_message_waits_behind_it(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.send(client_frame("4a") + client_frame(LARGE), client_frame("4b"), client_frame("4c"))
    assert await recorder.received(4) == ["a", LARGE[1:], "b", "c"]


@pytest.mark.parametrize("parts", [[LARGE_BYTES - 2], [30_000, 35_536], [1, LARGE_BYTES], [LARGE_BYTES, 1]])
async def test_a_large_message_may_come_in_fragments_with_pings_between_them(serve, parts):
    served = await serve()
    wire, recorder = await served.websocket()
    sent = client_frame("4", first=TEXT)
    for size in parts:
        sent += client_frame("x" * size, first=CONTINUATION) + client_frame(b"ping", opcode=PING)
    await wire.send(sent + client_frame("end", first=0x80) + client_frame("4after"))
    assert await recorder.received(2) == ["x" * sum(parts) + "end", "after"]
    assert [await wire.receive() for _ in parts] == [(PONG, b"ping")] * len(parts)


async def test_a_client_that_leaves_while_its_large_message_waits_takes_it_along(serve, monkeypatch):
    served = await serve()
    wire, recorder = await served.websocket()
    waiting = []
    monkeypatch.setattr(FairQueue, "put", lambda queue, work: waiting.append(work))
    await wire.send(client_frame(LARGE) + client_frame("4after"))
    await eventually(lambda: waiting)
    assert recorder.messages == []
    recorder.session.abort("gone")
    waiting[0]()
    assert recorder.messages == []
    assert recorder.reasons == ["gone"]


async def test_a_large_message_that_breaks_the_protocol_ends_the_session(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    await wire.send(client_frame(b"4" + b"x" * LARGE_BYTES + b"\xff", opcode=TEXT))
    assert await recorder.closed() == "transport error"
    other, recorder = await served.websocket()
    await other.send(client_frame("9" + "x" * LARGE_BYTES))
    assert await recorder.closed() == "parse error"


async def test_pings_are_answered_in_order_over_several_iterations(serve, shares):
    served = await serve()
    wire, _ = await served.websocket()
    await wire.send(b"".join(client_frame(b"%d" % number, opcode=PING) for number in range(1000)))
    assert [await wire.receive() for _ in range(1000)] == [(PONG, b"%d" % number) for number in range(1000)]
    assert max(shares) <= MAX_MESSAGES


async def test_fragments_are_assembled_over_several_iterations(serve, shares):
    served = await serve()
    wire, recorder = await served.websocket()
    parts = b"".join(client_frame(b"%d" % (number % 10), first=CONTINUATION) for number in range(1000))
    await wire.send(client_frame("4", first=TEXT) + parts + client_frame("", first=0x80))
    assert await recorder.received(1) == ["0123456789" * 100]
    assert max(shares) <= MAX_MESSAGES


async def test_a_flood_blocks_no_other_client_and_ends_with_its_connection(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    other, _ = await served.websocket()
    wire.writer.write(client_frame("4") * 1_000_000)
    await recorder.received(1000)
    await other.send(client_frame(b"there?", opcode=PING))
    assert await other.receive() == (PONG, b"there?")
    wire.abort()
    await recorder.closed()
    assert len(recorder.messages) < 1_000_000


async def test_messages_read_before_a_pause_are_delivered_in_order(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    session = recorder.session

    def busy(message):
        recorder.messages.append(message)
        session.pause()

    recorder.receive = busy
    await wire.send(b"".join(client_frame(f"4{number}") for number in range(1000)))
    await eventually(lambda: session.paused)
    while len(recorder.messages) < 1000:
        at = len(recorder.messages)
        session.resume()
        assert len(recorder.messages) <= at + 1
        await asyncio.sleep(0)
    assert recorder.messages == [str(number) for number in range(1000)]


async def test_a_client_of_version_2_that_pings_and_does_not_read_is_closed_as_slow(serve):
    served = await serve(allow_eio3=True, outbox_limit=1000)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.connect(("127.0.0.1", served.port))
    wire = await served.wire(sock=listening)
    await wire.upgrade("EIO=3&transport=websocket")
    await wire.opened()
    recorder = served.listener.last
    transport = recorder.session.socket._transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport.set_write_buffer_limits(2000)
    wire.writer.write(client_frame("2") * 200_000)
    assert await recorder.closed() == "transport error"
    assert served.metrics.slow_clients == 1


async def test_a_pause_holds_the_sender_back(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    recorder.session.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await wire.send(*[client_frame(b"x" * 60_000)] * 1000)
    assert recorder.messages == []
    recorder.session.resume()
    await recorder.received(10)


async def test_messages_behind_the_upgrade_wait_while_paused(serve):
    served = await serve()
    _, recorder = await served.poll_session()
    recorder.session.pause()
    wire = await served.probing(recorder)
    await wire.send(client_frame("5") + client_frame("4a") + client_frame("4b"))
    await eventually(lambda: recorder.session.transport == "websocket")
    await wire.frame("4c")
    await wire.frame("4d")
    assert recorder.messages == []
    recorder.session.resume()
    assert await recorder.received(4) == ["a", "b", "c", "d"]


# A client that reads too slowly.


async def slow_reader(served):
    """A WebSocket client with small buffers that reads no messages, but answers pings."""
    known = len(served.listener.sessions)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", served.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1)
    wire = Wire(reader, writer)
    await wire.send(upgrade(WEBSOCKET))
    await eventually(lambda: len(served.listener.sessions) > known)
    return wire, served.listener.last


def small_buffer(recorder):
    """Let the system accept little for the client, as on a real line."""
    transport = recorder.session.socket._transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def look_often(monkeypatch):
    monkeypatch.setattr("rtserver.engine.session.backpressure.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("rtserver.engine.session.backpressure.SLOW_SECONDS", 0.2)


async def test_a_slow_reader_that_answers_pings_is_closed(serve, monkeypatch):
    look_often(monkeypatch)
    served = await serve(outbox_limit=200_000, ping_interval=0.1, ping_timeout=5)
    wire, recorder = await slow_reader(served)
    transport = recorder.session.socket._transport

    async def answer():
        while True:
            await wire.frame("3")
            await asyncio.sleep(0.02)

    answering = asyncio.create_task(answer())
    async with asyncio.timeout(10):
        while not recorder.reasons:
            if transport.get_write_buffer_size() < 250_000:
                recorder.send("x" * 50_000)
            else:
                # Volatile messages are dropped first.
                before = transport.get_write_buffer_size()
                recorder.send("x" * 50_000, volatile=True)
                assert transport.get_write_buffer_size() <= before
                recorder.send("x")
            await asyncio.sleep(0.02)
    answering.cancel()
    assert recorder.reasons == ["transport error"]
    assert served.metrics.slow_clients == 1
    assert served.metrics.snapshot()["dropped"] > 0
    wire.abort()
    await served.deserted()


async def test_a_reader_that_catches_up_in_time_is_not_closed(serve):
    served = await serve(outbox_limit=200_000)
    wire, recorder = await slow_reader(served)
    for number in range(50):
        recorder.send(f"{number:04000}")
    wire.reader._limit = 2**20
    await wire.answer()
    await wire.opened()
    for number in range(50):
        assert int((await wire.text())[1:]) == number
    recorder.send("and more")
    assert await wire.text() == "4and more"
    assert not recorder.reasons
    assert recorder.session.send is not None


async def test_frames_arrive_complete_and_in_order_by_every_way_of_sending(serve):
    """Written directly, in part, behind buffered frames, between pings and pongs, one or many per iteration."""
    served = await serve(ping_interval=0.02, ping_timeout=60, outbox_limit=50_000_000)
    wire, recorder = await slow_reader(served)
    wire.reader._limit = 2**16
    chance = random.Random(7)
    sizes = [chance.choice((1, 10, 200, 5_000, 70_000)) for _ in range(600)]

    async def emit() -> None:
        for number, size in enumerate(sizes):
            recorder.send(f"{number}:" + "x" * size)
            if not chance.randrange(4):
                await asyncio.sleep(0)
            if not chance.randrange(40):
                await asyncio.sleep(0.002)

    async def ask() -> None:
        while True:
            await wire.send(client_frame(b"still there?", opcode=9))
            await asyncio.sleep(0.005)

    await wire.answer()
    await wire.opened()
    asking, emitting = asyncio.create_task(ask()), asyncio.create_task(emit())
    number = pongs = 0
    while number < len(sizes):
        opcode, payload = await wire.receive()
        if opcode != TEXT:
            assert payload == b"still there?"
            pongs += 1
        elif payload != b"2":
            assert payload.decode() == f"4{number}:" + "x" * sizes[number]
            number += 1
    asking.cancel()
    await emitting
    assert pongs
    assert not recorder.reasons


async def test_a_reader_that_makes_progress_is_not_closed_however_long_it_takes(serve, monkeypatch):
    """Much more than the limit waits for many times the time after which a client without progress is closed."""
    look_often(monkeypatch)
    monkeypatch.setattr("rtserver.engine.session.backpressure.PROGRESS", 512)
    served = await serve(outbox_limit=100_000)
    wire, recorder = await slow_reader(served)
    wire.reader._limit = 1024
    await wire.answer()
    await wire.opened()
    small_buffer(recorder)
    recorder.send("x" * 1_000_000)
    recorder.send("done")
    transport, read, looks = recorder.session.socket._transport, bytearray(), []
    fire = served.engine._state.backpressure.fire
    while transport.get_write_buffer_size() > 100_000 or len(looks) < 20:
        looks.append(len(read))
        if transport.get_write_buffer_size() > 100_000:
            read += await wire.reader.read(8192)
        await asyncio.sleep(0.01)
        fire()
    while not read.endswith(b"4done"):
        read += await wire.reader.read(65536)
    assert len(read) == 10 + 1_000_001 + 2 + 5
    assert not recorder.reasons
    assert served.metrics.slow_clients == 0


async def test_a_reader_of_a_trickle_is_closed(serve, monkeypatch):
    """A byte now and then is no progress."""
    look_often(monkeypatch)
    served = await serve(outbox_limit=100_000)
    wire, recorder = await slow_reader(served)
    small_buffer(recorder)
    recorder.send("x" * 1_000_000)
    async with asyncio.timeout(10):
        while not recorder.reasons:
            await wire.reader.read(16)
            await asyncio.sleep(0.02)
    assert recorder.reasons == ["transport error"]
    assert served.metrics.slow_clients == 1


async def test_a_pong_that_waits_behind_megabytes_is_waited_for(serve, monkeypatch):
    """The ping stands behind what the client is still reading."""
    served = await serve(ping_interval=0.1, ping_timeout=0.2)
    wire, recorder = await slow_reader(served)
    wire.reader._limit = 1024
    await wire.answer()
    await wire.opened()
    small_buffer(recorder)
    recorder.send("x" * 3_000_000)
    session, read = recorder.session, b""
    await eventually(lambda: session._awaits_pong)
    for _ in range(3):
        session.fire()
        read += await wire.reader.read(16_384)
    assert session._awaits_pong
    assert not recorder.reasons
    while not read.endswith(b"\x81\x012"):
        read = read[-2:] + await wire.reader.read(65536)
    await wire.frame("3", "4here")
    assert await recorder.received(1) == ["here"]


async def test_sixteen_times_the_outbox_limit_closes_immediately(serve):
    served = await serve(outbox_limit=100_000)
    wire, recorder = await slow_reader(served)
    for _ in range(100):
        recorder.send("x" * 100_000)
    assert recorder.reasons == ["transport error"]
    recorder.send("nobody is there")
    wire.abort()
    await served.deserted()


async def test_many_small_queued_messages_count_with_their_overhead(serve):
    served = await serve(outbox_limit=100_000)
    wire, recorder = await slow_reader(served)
    transport = recorder.session.socket._transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport.set_write_buffer_limits(2000)
    count = 0
    while not recorder.reasons and count < 100_000:
        recorder.send("x")
        count += 1
    assert count < 30_000, "sixteen times the limit would be 400,000 frames, not counting what each takes itself"
    assert recorder.reasons == ["transport error"]
    wire.abort()
    await served.deserted()


async def test_a_client_that_sends_pings_without_reading_costs_no_memory(serve):
    served = await serve()
    wire, recorder = await slow_reader(served)
    transport = recorder.session.socket._transport
    recorder.send("x" * 1_000_000)
    before = transport.get_write_buffer_size()
    await wire.send(*[client_frame(b"x" * 125, PING)] * 2000)
    await wire.frame("4done")
    await recorder.received(1)
    assert transport.get_write_buffer_size() <= before


# Closing by the server.


async def test_messages_sent_before_a_close_arrive(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    for _ in range(20):
        recorder.send("x" * 100_000)
    recorder.session.close("forced close")
    assert await recorder.closed() == "forced close"
    received = 0
    while (message := await wire.receive())[0] == TEXT:
        received += len(message[1])
    assert received == 20 * 100_001
    assert message == (CLOSE, b"\x03\xe8")
    await wire.ended()
    await wire.close()
    await served.deserted()


async def test_the_last_words_arrive_as_long_as_the_client_reads(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.transports.websocket.LINGER_SECONDS", 0.05)
    monkeypatch.setattr("rtserver.engine.transports.websocket.STALL_SECONDS", 0.5)
    served = await serve()
    wire, recorder = await slow_reader(served)
    transport = recorder.session.socket._transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    recorder.send("x" * 2_000_000)
    recorder.session.close("forced close")
    began, received = asyncio.get_running_loop().time(), b""
    while len(received) < 2_000_000:
        chunk = await asyncio.wait_for(wire.reader.read(40_000), 5)
        assert chunk, f"lost after {len(received)} bytes"
        received += chunk
        await asyncio.sleep(0.03)
    assert asyncio.get_running_loop().time() - began > 1, "this took twice as long as a client may stall"
    wire.abort()
    await served.deserted()


async def test_what_waits_behind_a_close_is_counted_with_the_rest(serve, monkeypatch):
    """Otherwise a client could have much sent, leave, and come again, as often as it likes."""
    served = await serve(outbox_total=20_000_000)
    backpressure = served.engine._state.backpressure
    wires, transports = [], []
    for _ in range(6):
        wire, recorder = await slow_reader(served)
        wires.append(wire)
        transports.append(recorder.session.socket._transport)
        recorder.send("x" * 10_000_000)
        recorder.session.close("forced close")
        assert backpressure.total > 1_000_000
        assert sum(transport.get_write_buffer_size() for transport in transports) <= 30_000_000
    for wire in wires:
        wire.abort()
    await served.deserted()
    assert not backpressure.total


async def test_a_client_that_does_not_answer_a_close_is_aborted(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.transports.websocket.LINGER_SECONDS", 0.05)
    monkeypatch.setattr("rtserver.engine.transports.websocket.CLOSE_SECONDS", 0.1)
    served = await serve()
    silent, recorder = await served.websocket()
    recorder.session.close("forced close")
    deaf, recorder = await slow_reader(served)
    recorder.send("x" * 10_000_000)
    recorder.session.close("forced close")
    await served.deserted()
    silent.abort()
    deaf.abort()


async def test_a_standard_client_library_works(serve):
    served = await serve(echo=True)
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{served.url}/engine.io/?{WEBSOCKET}") as ws:
        await ws.receive()
        await ws.send_str("4hi")
        assert (await ws.receive()).data == "4hi"
        await ws.ping(b"there?")
        await ws.close()
        assert ws.close_code == 1000
    await served.deserted()
