"""WebSockets with permessage-deflate: negotiation, compression in both directions, frames shared by a broadcast."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import zlib
from contextlib import suppress

import pytest

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.transports.websocket import WebSocket
from rtserver.protocol import permessage_deflate
from rtserver.protocol.frames import BINARY, TEXT
from tests.engine.wire import client_frame, upgrade

QUERY = "EIO=4&transport=websocket"
OFFER = "permessage-deflate; client_max_window_bits"
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
LONG = "a rather long text, " * 200
COMPRESSED = 0x40


async def opened(served, query=QUERY, offer=OFFER):
    """A WebSocket whose client offers compression, and the recorder of its session."""
    wire = await served.wire()
    answer = await wire.upgrade(query, Sec_WebSocket_Extensions=offer)
    assert answer.headers["sec-websocket-extensions"].startswith(ANSWER)
    sid = await wire.opened()
    return wire, next(recorder for recorder in served.listener.sessions if recorder.session.id == sid)


def packed(text):
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (packer.compress(text.encode() if isinstance(text, str) else text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def compressed(wire, bits=15):
    """The next message, which must be compressed: its opcode and inflated payload."""
    first, payload = await wire.raw_frame()
    assert first & 0x70 == COMPRESSED
    return first & 0x0F, zlib.decompressobj(-bits).decompress(payload + b"\x00\x00\xff\xff")


async def test_compression_is_not_negotiated_unless_enabled(serve):
    served = await serve(echo=True)
    wire = await served.wire()
    answer = await wire.upgrade(QUERY, Sec_WebSocket_Extensions=OFFER)
    assert "sec-websocket-extensions" not in answer.headers
    await wire.opened()
    await wire.frame("4" + LONG)
    assert await wire.text() == "4" + LONG
    await wire.send(client_frame(packed("4a"), first=0xC1))
    assert await wire.close_code() == 1002


async def test_a_client_without_an_offer_gets_no_compression(serve):
    served = await serve(echo=True, per_message_deflate=True)
    wire, recorder = await served.websocket()
    await wire.frame("4" + LONG)
    assert await wire.text() == "4" + LONG
    assert type(recorder.session.socket) is WebSocket, "it is written to as if there were no compression"
    await wire.send(client_frame(packed("4a"), first=0xC1))
    assert await wire.close_code() == 1002


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (OFFER, ANSWER),
        ("permessage-deflate; server_max_window_bits=10", f"{ANSWER}; server_max_window_bits=10"),
        ("permessage-deflate; x=1, permessage-deflate", ANSWER),
        ("permessage-deflate; x=1", None),
        ("something-else", None),
    ],
)
async def test_the_response_names_the_agreed_parameters(serve, offer, answer):
    served = await serve(echo=True, per_message_deflate=True)
    wire = await served.wire()
    assert (await wire.upgrade(Sec_WebSocket_Extensions=offer)).headers.get("sec-websocket-extensions") == answer
    await wire.opened()
    await wire.frame("4goes on")
    assert await wire.text() == "4goes on"


async def test_offers_may_be_in_several_headers(serve):
    served = await serve(per_message_deflate=True)
    raw = upgrade(QUERY, Sec_WebSocket_Extensions="permessage-deflate; x")
    again = b"\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n\r\n"
    answer = await served.ask(raw.removesuffix(b"\r\n\r\n") + again)
    assert answer.headers["sec-websocket-extensions"] == f"{ANSWER}; server_max_window_bits=9"


@pytest.mark.parametrize("header", ["", "permessage-deflate;", "permessage-deflate; a=(b)"])
async def test_a_malformed_header_is_refused_and_opens_no_session(serve, header):
    served = await serve(per_message_deflate=True)
    answer = await served.ask(upgrade(QUERY, Sec_WebSocket_Extensions=header))
    assert (answer.status, answer.text) == (400, "Invalid or unacceptable Sec-WebSocket-Extensions header")
    assert not served.traces


async def test_messages_are_compressed_in_both_directions(serve):
    served = await serve(echo=True, per_message_deflate=True)
    wire, recorder = await opened(served)
    await wire.send(client_frame(packed("4é" + LONG), first=0xC1), client_frame(packed(b"\xff" * 5000), first=0xC2))
    await wire.frame("4" + LONG)
    assert await compressed(wire) == (TEXT, ("4é" + LONG).encode())
    assert await compressed(wire) == (BINARY, b"\xff" * 5000)
    assert await compressed(wire) == (TEXT, ("4" + LONG).encode())
    assert recorder.messages == ["é" + LONG, b"\xff" * 5000, LONG]


async def test_short_and_incompressible_messages_are_sent_uncompressed(serve):
    served = await serve(echo=True, per_message_deflate=True, compression_threshold=100)
    wire, recorder = await opened(served)
    noise = random.Random(1).randbytes(3000)
    await wire.send(client_frame(packed("4" + "a" * 98), first=0xC1))
    await wire.frame("4" + "a" * 99, noise)
    assert await wire.text() == "4" + "a" * 98
    assert await compressed(wire) == (TEXT, b"4" + b"a" * 99)
    assert await wire.receive() == (BINARY, noise)
    recorder.session.send_answer(b"4" + b"b" * 99)
    assert await compressed(wire) == (TEXT, b"4" + b"b" * 99)


async def test_the_window_size_of_the_client_is_respected(serve):
    served = await serve(per_message_deflate=True)
    words = random.Random(1).randbytes(800)
    wire, recorder = await opened(served, offer="permessage-deflate; server_max_window_bits=9")
    recorder.send(words + words + bytes(900) + words)
    assert await compressed(wire, 9) == (BINARY, words + words + bytes(900) + words)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("EIO=3&transport=websocket", [(TEXT, b"4" + LONG.encode()), (BINARY, b"\x04" + bytes(3000))]),
        (f"{QUERY}&b64=1", [(TEXT, b"4" + LONG.encode()), (TEXT, b"b" + b"AAAA" * 1000)]),
    ],
)
async def test_other_revisions_get_their_encoding_compressed(serve, query, expected):
    served = await serve(per_message_deflate=True, allow_eio3=True)
    wire, recorder = await opened(served, query)
    recorder.session.push(PreparedMessage(b"4" + LONG.encode(), bytes(3000)))
    assert [await compressed(wire) for _ in expected] == expected


async def test_an_upgraded_session_is_compressed_too(serve):
    served = await serve(per_message_deflate=True, echo=True)
    _, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"{QUERY}&sid={recorder.session.id}", Sec_WebSocket_Extensions=OFFER)
    await wire.send(client_frame(packed("2probe"), first=0xC1))
    assert await wire.text() == "3probe"
    await wire.frame("5", "4" + LONG)
    assert await compressed(wire) == (TEXT, ("4" + LONG).encode())


async def test_heartbeat_and_close_work_as_without_compression(serve):
    served = await serve(per_message_deflate=True, ping_interval=0.05, ping_timeout=5)
    wire, recorder = await opened(served)
    assert await wire.text() == "2"
    await wire.frame("3")
    assert await wire.text() == "2"
    recorder.send(LONG)
    await served.engine.disconnect(recorder.session.id)
    assert await compressed(wire) == (TEXT, ("4" + LONG).encode())
    assert await wire.close_code() == 1000
    await served.deserted()


async def test_a_broadcast_is_compressed_once_per_set_of_parameters(serve, monkeypatch):
    made = []
    real = permessage_deflate.deflate
    monkeypatch.setattr(permessage_deflate, "deflate", lambda *args: made.append(args[1]) or real(*args))
    served = await serve(per_message_deflate=True, allow_eio3=True)
    wide = [await opened(served) for _ in range(3)]
    three = await opened(served, "EIO=3&transport=websocket")
    narrow = [await opened(served, offer="permessage-deflate; server_max_window_bits=9") for _ in range(2)]
    plain = [await served.websocket() for _ in range(2)]
    message = PreparedMessage(b"4" + LONG.encode())
    for _, recorder in [*wide, three, *narrow, *plain]:
        recorder.session.push(message)
    for wire, _ in [*wide, three, *narrow]:
        assert await compressed(wire) == (TEXT, b"4" + LONG.encode())
    for wire, _ in plain:
        assert await wire.text() == "4" + LONG
    assert made == [15, 9]


async def test_a_message_may_opt_out_of_compression(serve):
    served = await serve(per_message_deflate=True)
    wire, recorder = await opened(served)
    message = PreparedMessage(b"4" + LONG.encode())
    message.compress = False
    recorder.session.push(message)
    assert await wire.text() == "4" + LONG


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (client_frame(b"no deflate at all", first=0xC1), 1007),
        (client_frame(packed(b"4\xff\xfe"), first=0xC1), 1007),
        (client_frame(packed(LONG)[:20], first=0xC1), 1007),
        (client_frame(packed("4" + "a" * 5000), first=0xC1), 1009),
        (client_frame(packed("4a"), first=0x41) + client_frame(b"", first=0xC0), 1002),
        (client_frame(b"\x00", first=0xC9), 1002),
        (client_frame(packed("4a"), first=0xE1), 1002),
    ],
)
async def test_a_violation_closes_with_the_right_code(serve, raw, code):
    served = await serve(per_message_deflate=True, max_http_buffer_size=4000)
    wire, recorder = await opened(served)
    await wire.send(client_frame(packed("4before"), first=0xC1) + raw)
    assert await wire.close_code() == code
    assert recorder.messages == ["before"]
    assert await recorder.closed() == "transport error"
    await served.deserted()


async def test_a_slow_reader_of_compressed_messages_is_closed(serve):
    served = await serve(per_message_deflate=True, outbox_limit=20_000)
    wire, recorder = await opened(served)
    digits = random.Random(1)
    large = PreparedMessage(b"4" + json.dumps([digits.random() for _ in range(10_000)]).encode())
    async with asyncio.timeout(10):
        while not recorder.reasons:
            recorder.session.push(large)
            await asyncio.sleep(0)
    assert recorder.reasons == ["transport error"]
    assert served.metrics.slow_clients == 1
    with suppress(ConnectionError):
        await wire.ended()


async def test_no_memory_is_kept_between_messages(serve):
    """Each message can be inflated without the ones before."""
    served = await serve(echo=True, per_message_deflate=True)
    wire, _ = await opened(served)
    for _ in range(3):
        await wire.frame("4" + LONG)
        assert await compressed(wire) == (TEXT, ("4" + LONG).encode())


async def test_chromium_negotiates_and_exchanges_compressed_messages(serve, browser):
    served = await serve(echo=True, per_message_deflate=True, cors_allowed_origins="*")
    carried = 0

    async def carry(reader, writer):
        nonlocal carried
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                carried += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def proxied(reader, writer):
        there = await asyncio.open_connection("127.0.0.1", served.port)
        await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))

    proxy = await asyncio.start_server(proxied, "127.0.0.1", 0)
    page = await browser.new_page()
    seen = await page.evaluate(
        """async (url) => {
            const socket = new WebSocket(url);
            socket.binaryType = "arraybuffer";
            const heard = [];
            await new Promise((done) => {
                socket.onmessage = ({ data }) => {
                    heard.push(typeof data === "string" ? data : new Uint8Array(data).every((byte) => byte === 7));
                    if (heard.length === 1) {
                        socket.send("4" + "é".repeat(100000));
                        socket.send(new Uint8Array(100000).fill(7));
                    }
                    if (heard.length === 3) done();
                };
                socket.onclose = done;
            });
            const extensions = socket.extensions;
            socket.close();
            return { extensions, heard: heard.slice(1) };
        }""",
        f"ws://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/engine.io/?{QUERY}",
    )
    assert seen == {"extensions": ANSWER, "heard": ["4" + "é" * 100_000, True]}
    assert carried < 30_000, "600,000 bytes were compressed both ways"
    proxy.close()


async def test_of_many_zip_bombs_in_one_read_one_is_inflated_at_a_time(serve, monkeypatch):
    """Messages that wait for a handler stay compressed."""
    inflated = []
    inflate = permessage_deflate.inflate
    monkeypatch.setattr(permessage_deflate, "inflate", lambda data, most: inflated.append(most) or inflate(data, most))
    served = await serve(per_message_deflate=True, max_http_buffer_size=1_000_000)
    wire, recorder = await opened(served)
    session, take = recorder.session, recorder.receive

    def busy(message):
        take(message)
        session.pause()

    recorder.receive = busy
    await wire.send(client_frame(packed("4" + "x" * 999_999), first=0xC1) * 100)
    await recorder.received(1)
    for count in range(2, 20):
        session.resume()
        await recorder.received(count)
        assert inflated.count(1_000_000) == len(recorder.messages) == count
    recorder.receive = take
    session.resume()
    assert [len(message) for message in await recorder.received(100)] == [999_999] * 100


async def test_large_messages_of_one_read_are_spread_over_iterations(serve):
    served = await serve(per_message_deflate=True, max_http_buffer_size=1_000_000)
    wire, recorder = await opened(served)
    loop, turns = asyncio.get_running_loop(), [0]

    def turn():
        turns.append(len(recorder.messages))
        if turns[-1] < 50:
            loop.call_soon(turn)

    loop.call_soon(turn)
    await wire.send(client_frame(packed("4" + "x" * 999_999), first=0xC1) * 50)
    await recorder.received(50)
    # The end of one read and the beginning of the next may share an iteration.
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) <= 2
