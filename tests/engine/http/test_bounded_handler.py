"""Request heads: 16 kB in all, then 431; no refusal repeats a part of the request, and pages may read it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from rtserver.engine.http.fastpath_parser import MAX_HEAD
from tests.engine.conftest import POLLING, eventually
from tests.engine.wire import request, upgrade

SECRET = "s3cr3t-cookie"
PAGE = "https://page.example"
WEBSOCKET = "EIO=4&transport=websocket"


def padded(raw, size, name="Cookie"):
    """The request with one more header, so that its head has `size` bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line = f"\r\n{name}: {SECRET}=".encode()
    return head + line + b"x" * (size - len(head) - len(line) - 4) + b"\r\n\r\n" + body


@pytest.fixture(params=[True, False], ids=["fast path", "access log"])
async def served(serve, request):
    runner = {} if request.param else {"access_log_format": "%a"}
    return await serve(echo=True, cors_allowed_origins=[PAGE], runner=runner)


@pytest.mark.parametrize(
    ("raw", "status"), [(request("GET", POLLING), 200), (upgrade(WEBSOCKET), 101), (request("GET", "none"), 400)]
)
async def test_a_head_of_16_kb_is_accepted(served, raw, status):
    answer = await served.ask(padded(raw, MAX_HEAD))
    assert answer.status == status


async def test_many_small_headers_are_accepted_up_to_the_same_limit(served):
    head = request("GET", POLLING).removesuffix(b"\r\n")
    assert (await served.ask(head + b"A: b\r\n" * 2000 + b"\r\n")).status == 200
    assert (await served.ask(head + b"A: b\r\n" * 3000 + b"\r\n")).status == 431


@pytest.mark.parametrize("size", [MAX_HEAD + 1, 20_000, 60_000])
@pytest.mark.parametrize(
    "raw", [request("GET", POLLING), upgrade(WEBSOCKET), request("POST", POLLING, b"4x"), request("OPTIONS", POLLING)]
)
async def test_a_larger_head_is_refused_without_an_echo(served, raw, size):
    with capture_logs() as logs:
        wire = await served.wire()
        answer = await wire.ask(padded(raw, size))
        await wire.ended()
    assert (answer.status, answer.text) == (431, "Request Header Fields Too Large")
    assert SECRET not in str(answer)
    assert SECRET not in str(logs)
    assert [log["status"] for log in logs if log["event"] == "request_refused"] == [431]


@pytest.mark.parametrize("origin", [PAGE, "https://evil.example", None])
@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_refusal_has_the_cors_headers_of_its_origin(served, origin, pieces):
    fields = {"Origin": origin, "Accept": "*/*"} if origin else {}
    raw = padded(request("GET", POLLING, **fields), MAX_HEAD + 1)
    wire = await served.wire()
    step = len(raw) // pieces + 1
    for at in range(0, len(raw), step):
        await wire.send(raw[at : at + step])
        await asyncio.sleep(0)
    answer = await wire.answer()
    assert answer.status == 431
    assert answer.headers.get("access-control-allow-origin") == (PAGE if origin == PAGE else None)


@pytest.mark.parametrize(
    "fault",
    [
        b"Cookie: s3cr3t-cookie=\x01\r\n", b"Cookie s3cr3t-cookie\r\n", b"s3cr3t-cookie: \x00\r\n",
        b"Content-Length: s3cr3t-cookie\r\n", b"Host: s3cr3t-cookie\r\n", b" s3cr3t-cookie: folded\r\n",
    ],
)  # fmt: skip
async def test_what_cannot_be_parsed_is_refused_without_an_echo(served, fault):
    raw = request("GET", POLLING, Origin=PAGE).removesuffix(b"\r\n") + fault + b"\r\n"
    with capture_logs() as logs:
        answer = await served.ask(raw)
    assert (answer.status, answer.text) == (400, "Bad Request")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert SECRET not in str(logs)


@pytest.mark.parametrize(
    "raw",
    [
        b"s3cr3t-cookie\r\n\r\n", b"\x16\x03\x01\x02\x00\x01s3cr3t-cookie\r\n\r\n",
        b"GET s3cr3t-cookie HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_not_http_is_refused_without_an_echo(served, raw):
    answer = await served.ask(raw)
    assert (answer.status, answer.text) == (400, "Bad Request")


async def test_a_head_that_never_ends_is_refused(served):
    wire = await served.wire()
    await wire.send(request("GET", POLLING).removesuffix(b"\r\n"))
    for _ in range(200):
        await wire.send(b"X-More: " + b"y" * 100 + b"\r\n")
        await asyncio.sleep(0)
    assert (await wire.answer()).status == 431


async def test_a_head_that_has_begun_must_end_in_time(served, monkeypatch):
    monkeypatch.setattr("rtserver.engine.http.bounded_handler.HEAD_SECONDS", 0.2)
    wire, half = await served.wire(), await served.wire()
    raw = request("GET", POLLING)
    for piece in (raw[:30], raw[30:]):
        await wire.send(piece)
        await asyncio.sleep(0.01)
    assert (await wire.answer()).status == 200
    await half.send(raw[:30])
    assert await asyncio.wait_for(half.reader.read(), 5) == b""
    # The time of a head is over with the head: that connection is still there.
    query = f"{POLLING}&sid={served.listener.last.session.id}"
    assert (await wire.ask(request("POST", query, b"4a"))).status == 200


async def test_a_head_behind_another_request_is_measured_too(served):
    query, _ = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("POST", query, b"4a") + padded(request("POST", query, b"4b"), MAX_HEAD + 100, "A"))
    assert (await wire.answer()).status == 200
    assert (await wire.answer()).status == 431


async def test_a_head_behind_a_hanging_poll_is_measured_too(served):
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("GET", query))
    await eventually(lambda: recorder.session.poll)
    await wire.send(request("GET", query).removesuffix(b"\r\n"))
    for _ in range(300):
        await wire.send(b"X-More: " + b"y" * 100 + b"\r\n")
    (handler,) = served.runner.server.connections
    await eventually(lambda: handler._refused)
    recorder.send("last")
    assert (await wire.answer()).text == "4last"
    assert (await wire.answer()).status == 431


async def test_a_body_is_not_measured(served):
    query, recorder = await served.poll_session()
    wire = await served.wire()
    raw = request("POST", query, b"4" + b"x" * 500_000)
    for at in range(0, len(raw), 1000):
        await wire.send(raw[at : at + 1000])
    assert (await wire.answer()).status == 200
    assert len(recorder.messages[0]) == 500_000
    # The next request on the connection, in two pieces, is measured from its beginning again.
    raw = padded(request("POST", query, b"4y"), MAX_HEAD)
    await wire.send(raw[:100])
    await wire.send(raw[100:])
    assert (await wire.answer()).status == 200


async def test_an_application_may_allow_larger_headers(serve):
    served = await serve(runner={"max_field_size": 40_000})
    assert (await served.ask(padded(request("GET", POLLING), 30_000))).status == 200
    assert (await served.ask(padded(request("GET", POLLING), 50_000))).status == 431


async def test_a_poll_with_a_large_cookie_keeps_its_connection(serve):
    served = await serve(echo=True)
    wire = await served.wire()
    assert (await wire.ask(padded(request("GET", POLLING), 12_000))).status == 200
    query = f"{POLLING}&sid={served.listener.last.session.id}"
    for _ in range(3):
        assert (await wire.ask(padded(request("POST", query, b"4a"), 12_000))).status == 200
        assert (await wire.ask(padded(request("GET", query), 12_000))).text == "4a"
    assert len(served.engine._state.idle_connections) == 1
    assert (await wire.ask(padded(request("GET", query), 20_000))).status == 431


async def test_errors_of_handlers_are_answered_by_aiohttp(serve):
    async def fail(request, handler):
        raise RuntimeError("a fault")

    served = await serve(middlewares=[web.middleware(fail)])
    answer = await served.ask(request("GET", POLLING))
    assert (answer.status, "a fault" in answer.text) == (500, False)
