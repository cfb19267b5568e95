"""Request bodies: what is refused is neither parsed nor inflated, and chunks that carry little end a request."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress

import pytest
from aiohttp import compression_utils

from rtserver.engine.http.body_limit import FREE, PIECE, SHARE, is_wasteful, pieces
from rtserver.engine.http.bounded_handler import MAX_QUEUED
from tests.engine.conftest import POLLING, eventually
from tests.engine.wire import request

BOMB = gzip.compress(b"\0" * 30_000_000)
UNKNOWN = f"{POLLING}&sid=none"
CHUNKED = {"Transfer_Encoding": "chunked"}
REFUSED = {
    "no such path": (request("POST", path="/nothing"), 404),
    "no such session": (request("POST", UNKNOWN), 400),
    "no handshake by POST": (request("POST", POLLING), 400),
    "no such transport": (request("POST", "EIO=4&transport=none"), 400),
    "a preflight": (request("OPTIONS", POLLING), 204),
    "a WebSocket handshake": (request("GET", "EIO=4&transport=websocket", Upgrade="websocket"), 400),
}


def chunks(count, content=b"x"):
    """So many chunks, and the end of the body."""
    return b"%x\r\n%b\r\n" % (len(content), content) * count + b"0\r\n\r\n"


def with_fields(raw, **fields):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return raw.replace(b"\r\n\r\n", b"\r\n" + lines.encode() + b"\r\n", 1)


@pytest.fixture(params=[True, False], ids=["inflating", "not inflating"])
async def served(serve, request):
    """An application that leaves the inflating of bodies to aiohttp, and one that does not."""
    return await serve(runner={"auto_decompress": request.param})


@pytest.fixture
def inflated(monkeypatch):
    """The sizes of what aiohttp inflates."""
    sizes = []
    inflate = compression_utils.ZLibDecompressor.decompress_sync

    def count(self, data, max_length=0):
        content = inflate(self, data, max_length=max_length)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(compression_utils.ZLibDecompressor, "decompress_sync", count)
    return sizes


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_body_is_not_inflated(served, inflated, case):
    raw, status = REFUSED[case]
    wire = await served.wire()
    await wire.send(with_fields(raw, Content_Encoding="gzip", Content_Length=len(BOMB) + 1), BOMB)
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    await wire.ended()
    # What aiohttp inflates before the answer is bounded by the marks of a stream.
    assert sum(inflated) <= 1_000_000
    if not served.runner._kwargs["auto_decompress"]:
        assert not inflated


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("fields", [{"Content_Length": 4_000_000}, CHUNKED], ids=["of known length", "in chunks"])
async def test_a_client_that_sends_before_it_reads_gets_the_answer(served, case, fields):
    raw, status = REFUSED[case]
    wire = await served.wire()
    body = b"x" * 4_000_000 if "Content_Length" in fields else chunks(600_000)
    await wire.send(with_fields(raw, **fields), body)
    assert (await wire.answer()).status == status
    assert await wire.ended() == b""


async def test_a_refused_request_is_the_last_one_of_its_connection(served):
    wire = await served.wire()
    await wire.send(with_fields(REFUSED["no such session"][0], Content_Length=10), b"12345")
    assert (await wire.answer()).headers["connection"] == "close"
    with suppress(ConnectionError):
        await wire.send(b"67890" + request("GET", POLLING))
    assert await wire.ended() == b""
    assert not served.listener.sessions


async def test_a_refused_request_with_its_whole_body_keeps_the_connection(served):
    wire = await served.wire()
    assert (await wire.ask(request("POST", UNKNOWN, b"4x"))).status == 400
    assert (await wire.ask(request("GET", POLLING))).status == 200


async def test_a_client_that_stays_is_disconnected(served, monkeypatch):
    monkeypatch.setattr("rtserver.engine.http.bounded_handler.LINGER_SECONDS", 0.1)
    wire = await served.wire()
    await wire.send(with_fields(REFUSED["no such path"][0], Content_Length=1_000_000_000))
    assert (await wire.answer()).status == 404
    await eventually(lambda: not served.runner.server.connections)


# Chunks.


@pytest.mark.parametrize(
    "body",
    [
        chunks(100_000), chunks(60_000, b"ab"), chunks(40_000, b"x" * 16), b"1;" + b"e" * 2 * FREE + b"\r\nx\r\n",
        b"1" + b";a=b" * FREE + b"\r\nx\r\n", b"0" * 2 * FREE + b"1\r\nx\r\n",
    ],
    ids=["one byte each", "two bytes each", "sixteen bytes each", "a long extension", "extensions", "a long size"],
)  # fmt: skip
@pytest.mark.parametrize("step", [10**9, 50_000, 1000])
async def test_chunks_that_carry_little_end_the_request(served, body, step):
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("POST", query, b"", **CHUNKED))
    with suppress(ConnectionError):
        for at in range(0, len(body), step):
            await wire.send(body[at : at + step])
    assert (await wire.answer()).status == 400
    assert await recorder.closed() == "transport error"
    assert not recorder.messages


@pytest.mark.parametrize(("count", "size"), [(5000, 1), (9000, 20), (20_000, 48), (900, 1000), (1, 900_000)])
@pytest.mark.parametrize("step", [10**9, 3333])
async def test_other_chunks_are_a_body_like_any_other(served, count, size, step):
    query, recorder = await served.poll_session()
    wire = await served.wire()
    body = chunks(1, b"4") + chunks(count, b"x" * size)
    raw = request("POST", query, body.replace(b"0\r\n\r\n", b"", 1), **CHUNKED)
    for at in range(0, len(raw), step):
        await wire.send(raw[at : at + step])
    assert (await wire.answer()).status == 200
    assert recorder.messages == ["x" * size * count]
    # The next body on the connection is counted from its beginning.
    assert (await wire.ask(request("POST", query, chunks(1, b"4y"), **CHUNKED))).status == 200


async def test_a_body_that_cannot_be_parsed_ends_its_request_at_once(served):
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("POST", query, b"1\r\n4\r\n", **CHUNKED))
    await eventually(lambda: recorder.session.post)
    await wire.send(b"no size\r\n")
    assert (await wire.answer()).status == 400
    assert await recorder.closed() == "transport error"


async def test_a_body_that_does_not_arrive_ends_its_session(served, monkeypatch):
    monkeypatch.setattr("rtserver.engine.transports.polling.BODY_SECONDS", 0.1)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("POST", query, b"4", Content_Length="1000"))
    assert await recorder.closed() == "transport error"
    assert await asyncio.wait_for(wire.ended(), 5) is not None


async def test_bodies_behind_a_hanging_request_wait_in_the_system(served):
    query, recorder = await served.poll_session(f"{POLLING}&other")
    wire = await served.wire()
    await wire.send(request("GET", query, X_Padding="x" * 12_000))
    await eventually(lambda: recorder.session.poll)
    (handler,) = [each for each in served.runner.server.connections if each._current_request is not None]
    sending = asyncio.create_task(wire.send(*[request("POST", query, b"4" + b"x" * 300_000)] * 60))
    await eventually(lambda: handler._buffer_paused)
    for _ in range(20):
        await asyncio.sleep(0.005)
    held = sum(body.total_bytes for _, body in handler._messages)
    assert MAX_QUEUED < held < 3 * MAX_QUEUED
    assert not sending.done()
    recorder.send("first")
    assert (await wire.answer()).text == "4first"
    for _ in range(60):
        assert (await wire.answer()).text == "ok"
    await sending
    assert [len(message) for message in recorder.messages] == [300_000] * 60


def test_framing_is_measured_by_the_content():
    assert not is_wasteful(FREE, 0)
    assert is_wasteful(FREE + 1, SHARE - 1)
    assert not is_wasteful(FREE + 1, SHARE)


@pytest.mark.parametrize("data", [b"", b"\r\n" * 10, b"x" * 300_000, b"1\r\nx\r\n" * 50_000])
def test_pieces_are_what_was_received(data):
    found = list(pieces(data))
    assert b"".join(found) == data
    assert len(found) == 1 or max(map(len, found)) == PIECE
