"""Random garbage: the server keeps working, logs at most a line for each, and keeps no state."""

from __future__ import annotations

import asyncio
import random
import zlib

import pytest
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tests.engine.conftest import POLLING
from tests.engine.wire import Wire, client_frame, request, upgrade

SECONDS = 1.2
EIO3 = "EIO=3&transport=polling"
DEFLATE = "permessage-deflate"
OFFERS = [DEFLATE] * 6 + [f"{DEFLATE}; server_max_window_bits=9", f"{DEFLATE}; x", "a;;b", ","]
FIRSTS = [0x01, 0x80, 0x00, 0x88, 0x89, 0x8A, 0xC1, 0xC2, 0x41]


def garbage(random, size=60):
    return random.randbytes(random.randrange(size))


def packet(random):
    kind = random.choice("0123456b47 ")
    return kind + random.choice(["", "probe", "a", "é😀", "AQID", "\x1e", "\x00", "2[]", "51-[]", "0{}", "x" * 3000])


def packed(payload, random):
    """Compressed as by a client, and sometimes damaged."""
    packer = zlib.compressobj(random.randrange(1, 10), zlib.DEFLATED, -random.randrange(9, 16))
    raw = packer.compress(payload.encode() if isinstance(payload, str) else payload)
    raw += packer.flush(random.choice([zlib.Z_SYNC_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FINISH]))
    return raw[: random.choice([-4, -4, -4, -4, None, random.randrange(len(raw))])]


def frames(random):
    """Valid, nearly valid and invalid frames."""
    out = b""
    for _ in range(random.randrange(1, 8)):
        payload = random.choice([packet(random), garbage(random)])
        first = random.choice([None] * 6 + [random.randrange(256), *FIRSTS])
        if first is not None and first & 0x40 and random.random() < 0.8:
            payload = packed(payload, random)
        out += client_frame(payload, first=first, mask=random.random() < 0.95)
    return out if random.random() < 0.7 else out + garbage(random)


def body(random):
    text = "\x1e".join(packet(random) for _ in range(random.randrange(5))).encode()
    three = "".join(f"{random.choice([len(p), len(p), 7])}:{p}" for p in [packet(random) for _ in range(3)]).encode()
    octets = b"\x01\x04\xff\x04\x01\x02\x03" + garbage(random, 20)
    return random.choice([text, text, three, octets, b"d=" + text, garbage(random)])


def http(random, sids):
    """A request of any kind, often for an open session."""
    query = "&".join(
        part
        for part in (
            random.choice(["EIO=4", "EIO=4", "EIO=3", "EIO=", ""]),
            random.choice(["transport=polling", "transport=polling", "transport=websocket", "transport=%00"]),
            f"sid={random.choice([*sids, *sids, 'nobody', ''])}" if random.random() < 0.8 else "",
            random.choice(["", "", "", "j=1", "b64=1", "t=abc", "%%%"]),
        )
        if part
    )
    method = random.choice(["GET", "GET", "POST", "POST", "POST", "PUT", "OPTIONS", "HEAD", "BREW"])
    headers = random.choice([{}, {}, {"Content_Type": "application/octet-stream"}, {"Origin": "null"},
                             {"Content_Length": "99999999"}, {"Content_Encoding": "gzip"},
                             {"Transfer_Encoding": "chunked"}])  # fmt: skip
    raw = request(method, query, body(random) if method in ("POST", "PUT") else None, **headers)
    if random.random() < 0.2:
        raw = upgrade(query) + frames(random)
    if random.random() < 0.1:
        at = random.randrange(len(raw))
        raw = raw[:at] + garbage(random) + raw[at:]
    return raw


async def attack(served, random, until):
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        wire = await Wire.open(served.port)
        sids = list(served.engine.sockets)[-4:] or ["nobody"]
        kind = random.randrange(3)
        if kind == 0:
            offer = {"Sec_WebSocket_Extensions": random.choice(OFFERS)} if random.random() < 0.7 else {}
            query = f"EIO={random.choice('34')}&transport=websocket"
            await throw(wire, upgrade(query, **offer), frames(random), random)
        elif kind == 1:
            await throw(wire, http(random, sids), http(random, sids), random)
        else:
            await served_poll(served, random)
            await throw(wire, http(random, list(served.engine.sockets)[-1:] or sids), b"", random)
        await asyncio.sleep(0)
        wire.abort()


async def served_poll(served, random):
    wire = await Wire.open(served.port)
    await throw(wire, request("GET", random.choice([POLLING, EIO3])), b"", random)
    wire.abort()


async def throw(wire, first, second, random):
    """Write it in one or several pieces, and read a part of the responses."""
    raw = first + second
    try:
        while raw:
            size = random.choice([len(raw), 1, random.randrange(1, len(raw) + 1)])
            wire.writer.write(raw[:size])
            raw = raw[size:]
            await asyncio.sleep(0)
        async with asyncio.timeout(0.01):
            await wire.reader.read(1000)
    except (ConnectionError, TimeoutError, RuntimeError):
        pass  # Closed by the server, which uvloop reports as a RuntimeError.


def is_fault(record):
    """Log records with a traceback, except aiohttp's about requests that are not HTTP."""
    return record.exc_info and not isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError)


@pytest.mark.parametrize(("seed", "compressing"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
async def test_random_garbage_leaves_the_server_working(serve, caplog, monkeypatch, seed, compressing):
    monkeypatch.setattr("rtserver.engine.session.session.LINGER_SECONDS", 0.05)
    served = await serve(
        allow_eio3=True, echo=True, max_http_buffer_size=5000, max_packets=20, ping_interval=0.3, ping_timeout=0.2,
        per_message_deflate=compressing, compression_threshold=20,
    )  # fmt: skip
    faults = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    until = loop.time() + SECONDS
    await asyncio.gather(*(attack(served, random.Random(seed * 10 + number), until) for number in range(4)))
    wire, recorder = await served.websocket()
    await wire.frame("4still there?")
    assert await wire.text() == "4still there?"
    wire.abort()
    await served.deserted()
    assert faults == []
    assert [record for record in caplog.records if is_fault(record)] == []
    assert all(len(session.reasons) == 1 for session in served.listener.sessions)
    assert recorder.messages == ["still there?"]
