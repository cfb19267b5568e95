"""The whole application: no route reads a body that it refuses, and no answer waits for ever for its reader."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import compression_utils, web

from rtserver.app.composition import create_app, dev_token
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from rtserver.http.api.content_encoding import Inflater
from tests.engine.conftest import eventually
from tests.engine.wire import Wire

KEY = "a-key-of-the-tests-0123456789"
BOMB = gzip.compress(b"\0" * 100_000_000)
JSON = "Content-Type: application/json\r\n"
BEARER = f"Authorization: Bearer {KEY}\r\n"
REFUSED = {
    "no such path": ("POST /nothing", "", 404),
    "no such API path": ("POST /api/nothing", "", 404),
    "no key": ("POST /api/emit", JSON, 401),
    "a wrong key": ("POST /api/emit", f"{JSON}Authorization: Bearer wrong\r\n", 401),
    "a user's token": ("POST /api/emit", f"{JSON}Authorization: Bearer USER\r\n", 403),
    "another type": ("POST /api/emit", f"{BEARER}Content-Type: text/plain\r\n", 415),
    "another method": ("PUT /api/emit", BEARER, 405),
    "a body where none is read": ("DELETE /api/scheduled/none", BEARER, 404),
    "an upload without a token": ("POST /api/uploads", "Content-Type: image/png\r\n", 401),
    "an upload of another type": ("POST /api/uploads", f"{BEARER}Content-Type: text/html\r\n", 415),
    "a compressed upload": ("POST /api/uploads", f"{BEARER}Content-Type: image/png\r\n", 415),
    "a file": ("POST /uploads/none", "", 404),
    "a page": ("POST /", "", 405),
    "a page with a body": ("GET /chat", "", 200),
    "a script": ("PUT /client/chat.js", "", 405),
    "the bundle": ("POST /socket.io/socket.io.js", "", 405),
    "health": ("POST /healthz", "", 405),
    "readiness with a body": ("GET /readyz", "", 200),
    "metrics": ("POST /metrics", "", 405),
    "the document": ("POST /api/openapi.json", BEARER, 405),
    "a preflight": ("OPTIONS /api/emit", "", 405),
    "no such transport": ("POST /socket.io/?EIO=4&transport=x", "", 400),
    "no such session": ("POST /socket.io/?EIO=4&transport=polling&sid=x", "", 400),
    "development tokens": ("POST /dev/tokens", "", 405),
}


class Application:
    def __init__(self, settings: Settings, runner: Runner) -> None:
        self.settings = settings
        self.runner = runner
        self.port: int = runner.addresses[0][1]

    def head(self, first: str, fields: str) -> bytes:
        user = dev_token(self.settings, "alice", "Alice")
        return f"{first} HTTP/1.1\r\nHost: localhost\r\n{fields.replace('USER', user)}".encode()


@pytest.fixture
async def application(tmp_path) -> AsyncIterator[Application]:
    settings = Settings(data_dir=tmp_path, api_key=KEY, upload_limit=3_000_000)
    runner = Runner(create_app(settings), access_log=None, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Application(settings, runner)
    await runner.cleanup()


@pytest.fixture
def inflated(monkeypatch):
    """The sizes of what anything inflates."""
    sizes = []

    def counting(inflate):
        def count(*args, **options):
            content = inflate(*args, **options)
            sizes.append(len(content))
            return content

        return count

    decompressor = compression_utils.ZLibDecompressor
    monkeypatch.setattr(decompressor, "decompress_sync", counting(decompressor.decompress_sync))
    monkeypatch.setattr(Inflater, "feed", counting(Inflater.feed))
    return sizes


async def test_no_route_inflates_or_reads_what_it_refuses(application, inflated):
    many = b"1\r\nx\r\n" * 600_000 + b"0\r\n\r\n"
    bodies = {
        f"Content-Encoding: gzip\r\nContent-Length: {len(BOMB) + 1}\r\n\r\n": BOMB,
        "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n": b"%x\r\n%b\r\n" % (len(BOMB), BOMB),
        "Transfer-Encoding: chunked\r\n\r\n": many,
    }
    answered = {}
    for case, (first, fields, _) in REFUSED.items():
        for framing, body in bodies.items():
            if case == "a compressed upload" and body is many:
                continue
            wire = await Wire.open(application.port)
            await wire.send(application.head(first, fields) + framing.encode(), body)
            answer = await wire.answer()
            answered.setdefault(case, set()).add((answer.status, answer.headers.get("connection")))
            assert await wire.ended() == b""
            wire.abort()
    assert answered == {case: {(status, "close")} for case, (_, _, status) in REFUSED.items()}
    assert not inflated


async def test_chunks_that_carry_little_are_refused_where_the_body_is_wanted(application):
    uploads = application.settings.data_dir / "uploads"
    for first, fields in {
        "POST /api/emit": JSON + BEARER, "POST /api/uploads": f"{BEARER}Content-Type: image/png\r\n",
    }.items():  # fmt: skip
        wire = await Wire.open(application.port)
        head = application.head(first, fields) + b"Transfer-Encoding: chunked\r\n\r\n"
        await wire.send(head, b"1\r\nx\r\n" * 600_000)
        answer = await wire.answer()
        assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_payload")
        assert await wire.ended() == b""
        wire.abort()
    assert not [path for path in uploads.rglob("*") if path.is_file()]


async def test_an_answer_that_nobody_reads_is_dropped_whatever_its_size(application, monkeypatch):
    """Less than a transport's high-water mark was kept for ever, also of a connection that was closed long ago."""
    monkeypatch.setattr("rtserver.engine.session.backpressure.DEAD_SECONDS", 0.1)
    monkeypatch.setattr("rtserver.engine.session.backpressure.LOOK_SECONDS", 0.1)
    for close in ("", "Connection: close\r\n"):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", application.port))
        wire = await Wire.open(0, sock=sock, limit=64)
        await wire.send(application.head("GET /none", "") + b"\r\n")
        await eventually(lambda: application.runner.server.connections)
        (handler,) = application.runner.server.connections
        handler.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        await wire.send(application.head("GET /socket.io/socket.io.esm.min.js", close) + b"\r\n")
        await eventually(lambda handler=handler: handler._unread)
        assert 0 < handler._unread.waiting < 65_536
        await eventually(lambda: not application.runner.server.connections)
        wire.abort()
