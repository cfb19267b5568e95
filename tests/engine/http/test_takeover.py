"""Connection takeover from aiohttp for a WebSocket: no byte is lost, and no aiohttp object is left."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import subprocess
from functools import partial

import pytest
from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.web_protocol import RequestHandler

from rtserver.engine.server import Engine
from rtserver.engine.session.session import Session
from rtserver.engine.transports.websocket import WebSocket
from rtserver.protocol.frames import FrameReader
from rtserver.telemetry.metrics import Metrics
from tests.engine.conftest import Listener, eventually
from tests.engine.wire import POLLING, WEBSOCKET, Wire, client_frame, request, upgrade

QUERY = "EIO=4&transport=websocket"


@pytest.fixture(params=["aiohttp", "plain"])
def serve(request, serve):
    """With aiohttp's runner, and with rtserver's, which answers plain handshakes itself."""
    return partial(serve, plain=request.param == "plain")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def test_the_handshake_response_follows_rfc_6455(serve):
    served = await serve()
    answer = await (await served.wire()).upgrade()
    assert answer.headers["upgrade"] == "websocket"
    assert answer.headers["connection"] == "Upgrade"
    # The example of RFC 6455, 1.3.
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "not base64!!!!!!!!!!!!!!"},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": ""},
        {"Connection": "keep-alive"},
    ],
)
async def test_an_invalid_handshake_is_refused(serve, headers):
    served = await serve()
    wire = await served.wire()
    assert (await wire.ask(upgrade(QUERY, **headers))).status == 400
    await wire.ended()
    assert not served.engine.sockets


async def test_a_handshake_must_be_a_get(serve):
    served = await serve()
    assert (await served.ask(request("POST", QUERY, b"", **WEBSOCKET))).status == 400
    assert not served.engine.sockets


async def test_extensions_are_declined_and_the_first_subprotocol_is_agreed(serve):
    served = await serve()
    wire = await served.wire()
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate", "Sec-WebSocket-Protocol": "chat"}
    answer = await wire.upgrade(**offered)
    assert "sec-websocket-extensions" not in answer.headers
    assert answer.headers["sec-websocket-protocol"] == "chat"


@pytest.mark.parametrize("frames", [1, 500])
async def test_frames_in_the_same_segment_as_the_handshake_are_not_lost(serve, frames):
    served = await serve()
    wire = await served.wire()
    await wire.send(upgrade(QUERY) + b"".join(client_frame(f"4{number:0300}") for number in range(frames)))
    assert (await wire.answer()).status == 101
    await wire.opened()
    messages = await served.listener.last.received(frames)
    assert [int(message) for message in messages] == list(range(frames))


async def test_the_handshake_may_be_split_at_every_byte(serve):
    served = await serve()
    raw = upgrade(QUERY) + client_frame("4early")
    for cut in range(1, len(raw), 3):
        wire = await served.wire()
        await wire.send(raw[:cut])
        await asyncio.sleep(0)
        await wire.send(raw[cut:])
        assert (await wire.answer()).status == 101
        await wire.opened()
        assert await served.listener.last.received(1) == ["early"]
        wire.abort()


async def test_frames_that_arrive_during_allow_request_are_not_lost(serve):
    considering, decided = asyncio.Event(), asyncio.Event()

    async def consider(_):
        considering.set()
        await decided.wait()

    served = await serve(allow_request=consider)
    wire = await served.wire()
    await wire.send(upgrade(QUERY) + client_frame("4a"))
    await considering.wait()
    await wire.send(*(client_frame(f"4{'b' * 1000}") for _ in range(200)))
    decided.set()
    assert (await wire.answer()).status == 101
    assert len(await served.listener.last.received(201)) == 201


async def test_frames_behind_a_refused_handshake_are_not_read_as_a_request(serve):
    served = await serve()
    wire = await served.wire()
    answer = await wire.ask(upgrade("EIO=3&transport=websocket") + client_frame("4a") + request("GET", "x"))
    assert (answer.status, answer.text) == (400, "Unsupported protocol version")
    assert b"HTTP" not in await wire.ended()


async def test_a_websocket_may_follow_polls_on_the_same_connection(serve):
    served = await serve(echo=True)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    assert (await wire.ask(request("POST", query, b"4a"))).text == "ok"
    await wire.upgrade(f"{QUERY}&sid={recorder.session.id}")
    await wire.frame("2probe", "5")
    assert [await wire.text() for _ in range(2)] == ["3probe", "4a"]


async def test_it_works_over_tls(serve, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    served = await serve(tls=context, echo=True)
    trusting = ssl.create_default_context(cafile=certificate[0])
    trusting.check_hostname = False
    wire = await served.wire(tls=trusting)
    await wire.send(upgrade(QUERY) + client_frame("4early"))
    assert (await wire.answer()).status == 101
    await wire.opened()
    assert await wire.text() == "4early"
    await wire.frame("4" + "x" * 300_000)
    assert len(await wire.text()) == 300_001
    recorder = served.listener.last
    recorder.send("last")
    recorder.session.close("forced close")
    assert await wire.text() == "4last"
    assert (await wire.receive())[1] == b"\x03\xe8"
    await wire.close()
    await served.deserted()


async def test_a_protocol_error_over_tls_closes_with_its_code(serve, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    served = await serve(tls=context)
    trusting = ssl.create_default_context(cafile=certificate[0])
    trusting.check_hostname = False
    wire = await served.wire(tls=trusting)
    await wire.upgrade()
    await wire.opened()
    await wire.send(client_frame("4a", mask=False))
    assert (await wire.receive())[1] == b"\x03\xea"
    await wire.close()
    await served.deserted()


async def test_the_access_log_has_one_line_with_101(serve, caplog):
    caplog.set_level(logging.INFO, "aiohttp.access")
    served = await serve()
    await served.websocket()
    lines = [record.getMessage() for record in caplog.records if record.name == "aiohttp.access"]
    assert len(lines) == 1
    assert '" 101 ' in lines[0]


class Census:
    """Counts the objects of these types that were created since."""

    def __init__(self, *kinds):
        self._kinds = kinds
        gc.collect()
        self._known = {id(thing) for thing in self._all()}

    def _all(self):
        return [thing for thing in gc.get_objects() if type(thing) in self._kinds]

    def new(self):
        return [thing for thing in self._all() if id(thing) not in self._known]


async def test_no_aiohttp_object_is_kept_for_an_open_websocket(serve):
    census = Census(web.Request, RequestHandler, StreamWriter)
    served = await serve(echo=True)
    wire, _ = await served.websocket()
    await eventually(lambda: not served.runner.server.connections)
    assert census.new() == []
    assert len(asyncio.all_tasks()) == 1
    await wire.frame("4still works")
    assert await wire.text() == "4still works"


async def test_memory_is_freed_without_the_garbage_collector(serve):
    """The memory of clients that disconnect must not depend on the garbage collector."""
    served = await serve()
    census = Census(Session, WebSocket, FrameReader, web.Request, RequestHandler)
    gc.disable()
    try:
        for _ in range(5):
            wire = (await served.websocket())[0]
            wire.abort()
        await served.deserted()
        served.listener.sessions.clear()
        await eventually(lambda: not served.runner.server.connections)
        assert census.new() == []
    finally:
        gc.enable()


async def test_it_works_where_handlers_are_cancelled_with_their_connection(serve, caplog):
    served = await serve(runner={"handler_cancellation": True}, echo=True)
    wire, recorder = await served.websocket()
    await wire.frame("4a")
    assert await wire.text() == "4a"
    wire.abort()
    await recorder.closed()
    await served.deserted()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_middlewares_see_the_response(serve):
    statuses = []

    @web.middleware
    async def look(asked, handler):
        answer = await handler(asked)
        await asyncio.sleep(0)
        statuses.append(answer.status)
        answer.headers["X-Seen"] = "yes"
        return answer

    served = await serve(middlewares=[look], echo=True)
    wire, _ = await served.websocket()
    await wire.frame("4a")
    assert await wire.text() == "4a"
    assert statuses == [101]


async def test_a_shutdown_ends_open_websockets_and_polls():
    listener = Listener()
    engine = Engine(listener, Metrics())
    app = web.Application()
    engine.attach(app)
    runner = web.AppRunner(app, shutdown_timeout=5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    socket, poll = await Wire.open(port), await Wire.open(port)
    await socket.upgrade()
    await socket.opened()
    await poll.ask(request("GET", POLLING))
    await poll.send(request("GET", f"{POLLING}&sid={listener.last.session.id}"))
    await eventually(lambda: listener.last.session.poll)
    closing = asyncio.create_task(socket.close_code())
    async with asyncio.timeout(4):
        await engine.disconnect()
        assert (await poll.answer()).text == "1"
        assert await closing == 1000
        await socket.close()
        await eventually(lambda: engine.is_drained)
        await engine.shutdown()
        await runner.cleanup()
    assert [recorder.reasons for recorder in listener.sessions] == [["forced close"], ["forced close"]]
    await poll.ended()


async def test_a_client_that_disconnects_during_the_handshake_leaves_no_trace(serve, caplog):
    considering, decided = asyncio.Event(), asyncio.Event()

    async def consider(_):
        considering.set()
        await decided.wait()

    served = await serve(allow_request=consider)
    wire = await served.wire()
    await wire.send(upgrade(QUERY))
    await considering.wait()
    wire.abort()
    await eventually(lambda: not any(handler.connected for handler in served.runner.server.connections))
    decided.set()
    await served.deserted()
    await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
