"""Fast path for handshakes: plain WebSocket handshakes are answered at once, all other requests by aiohttp."""

from __future__ import annotations

import pytest
from aiohttp.web_protocol import RequestHandler

from tests.engine.conftest import eventually
from tests.engine.wire import POLLING, client_frame, request, upgrade

QUERY = "EIO=4&transport=websocket"


@pytest.fixture
def handlers(monkeypatch):
    """The connections that reached aiohttp."""
    seen = []
    made = RequestHandler.connection_made

    def connection_made(self, transport):
        seen.append(self)
        made(self, transport)

    monkeypatch.setattr(RequestHandler, "connection_made", connection_made)
    return seen


async def test_a_plain_handshake_never_reaches_aiohttp(serve, handlers):
    served = await serve(echo=True)
    wire = await served.wire()
    await wire.upgrade(f"{QUERY}&token=a.b-c_d&t=x")
    await wire.opened()
    await wire.frame("4a")
    assert await wire.text() == "4a"
    assert not handlers


async def test_frames_right_behind_the_handshake_are_read(serve, handlers):
    served = await serve(echo=True)
    wire = await served.wire()
    await wire.send(upgrade(QUERY) + client_frame("4early"))
    assert (await wire.answer()).status == 101
    await wire.opened()
    assert await wire.text() == "4early"
    assert not handlers


@pytest.mark.parametrize(
    "query",
    [
        "EIO=3&transport=websocket",
        "EIO=4&transport=websocket&name=%C3%A9",
        "EIO=4&transport=websocket&EIO=4",
        "EIO=4&transport=websocket&b64",
    ],
)
async def test_an_unusual_handshake_is_left_to_aiohttp(serve, handlers, query):
    served = await serve(allow_eio3=True)
    answer = await served.ask(upgrade(query))
    assert answer.status == 101
    assert len(handlers) == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (upgrade(QUERY, Sec_WebSocket_Key="short"), 400),
        (upgrade(QUERY, Sec_WebSocket_Version="8"), 400),
        (upgrade(QUERY, Connection="keep-alive"), 400),
        (upgrade(QUERY, Upgrade="h2c"), 400),
        (upgrade(QUERY, Origin="http://evil.example"), 400),
        (upgrade("EIO=4&transport=polling"), 400),
        (upgrade("EIO=4&transport=telepathy"), 400),
        (upgrade(f"{QUERY}&sid=unknown"), 400),
        (upgrade(QUERY, path="/elsewhere/"), 404),
        (request("GET", POLLING), 200),
        (request("GET", POLLING, path="/nothing"), 404),
        (b"GET /engine.io/?EIO=4&transport=websocket HTTP/1.0\r\nHost: x\r\n\r\n", 400),
    ],
)
async def test_refusals_and_other_requests_are_answered_as_by_aiohttp(serve, handlers, raw, status):
    served = await serve()
    other = await serve(plain=False)
    answer = await served.ask(raw)
    assert answer.status == status
    without = await other.ask(raw)
    assert (without.status, len(without.body)) == (answer.status, len(answer.body))
    assert len(handlers) == 2
    assert served.metrics.snapshot()["rejections"] == other.metrics.snapshot()["rejections"]


async def test_a_handshake_in_two_pieces_is_left_to_aiohttp(serve, handlers):
    served = await serve(echo=True)
    wire = await served.wire()
    raw = upgrade(QUERY)
    await wire.send(raw[:30])
    await eventually(lambda: handlers)
    await wire.send(raw[30:])
    assert (await wire.answer()).status == 101
    await wire.opened()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Expect", "100-continue"),
        ("User-Agent", "caf\u00e9"),
        ("X-Odd", "a\tb\x01"),
    ],
)
async def test_a_doubtful_head_is_left_to_aiohttp(serve, handlers, header, value):
    served = await serve()
    wire = await served.wire()
    await wire.send(upgrade(QUERY, **{header: value}))
    await eventually(lambda: handlers)


async def test_many_connections_without_a_request_leave_no_trace(serve):
    served = await serve()
    wires = [await served.wire() for _ in range(20)]
    await eventually(lambda: len(served.engine._state.idle_connections) == 20)
    for wire in wires:
        await wire.close()
    await eventually(lambda: not served.engine._state.idle_connections)
    assert not len(served.engine._state.idle_wheel)


async def test_a_connection_without_a_request_is_closed(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.runner.IDLE_SECONDS", 0.05)
    monkeypatch.setattr("rtserver.engine.server.IDLE_TICK", 0.05)
    served = await serve()
    wire = await served.wire()
    await wire.ended()


async def test_an_allowed_origin_gets_cors_headers_and_another_is_refused(serve, handlers):
    served = await serve(cors_allowed_origins=["https://page.example"])
    answer = await served.ask(upgrade(QUERY, Origin="https://page.example"))
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert not handlers
    assert (await served.ask(upgrade(QUERY, Origin="https://evil.example"))).status == 400


async def test_allow_request_gets_the_whole_request(serve, handlers):
    agents = []

    async def allow(asked):
        agents.append(asked.headers["User-Agent"])
        return False

    served = await serve(allow_request=allow)
    assert (await served.ask(upgrade(QUERY, User_Agent="me"))).status == 400
    assert agents == ["me"]
    assert len(handlers) == 1
