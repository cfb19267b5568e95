"""rtserver/cli/dev_server.py: whether the server that runs would accept a token; whatever answers at its port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtserver.cli.dev_server import accepts_secret
from rtserver.config.dev_secret import fingerprint
from rtserver.config.settings import Settings
from tests.support.ports import free_port

OURS, OTHER = "3f9c1e07b5a84d62" * 4, "26d48a5b70e1c9f3" * 4


@asynccontextmanager
async def ready_tokens(answer: Any, status: int = 401) -> AsyncIterator[int]:
    """A server whose `/dev/tokens` answers this; yields its port."""

    async def respond(_: web.Request) -> web.Response:
        if isinstance(answer, bytes):
            return web.Response(body=answer, status=status)
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_get("/dev/tokens", respond)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


async def accepts(port: int, **settings: Any) -> bool | None:
    return await asyncio.to_thread(accepts_secret, Settings(_env_file=None, port=port, **settings), OURS)


@pytest.mark.parametrize(("secret", "accepted"), [(OURS, True), (OTHER, False)])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
async def test_the_secret_of_the_server_is_recognized(secret: str, accepted: bool, host: str) -> None:
    async with ready_tokens({"error": {"details": {"secret": fingerprint(secret)}}}) as port:
        assert await accepts(port, host=host) is accepted


@pytest.mark.parametrize(
    "answer",
    [
        {}, [], None, 5, {"error": None}, {"error": {"details": 5}}, {"error": {"details": {"secret": 5}}},
        {"error": {"code": "token_missing"}},
        b"", b"<html>", b"\xff\xfe", b'{"error": {"details": "' + b"x" * 1_000_000,
    ],
    ids=lambda answer: repr(answer)[:30],
)  # fmt: skip
async def test_another_program_at_the_port_says_nothing(answer: Any) -> None:
    for status in (200, 401, 500):
        async with ready_tokens(answer, status) as port:
            assert await accepts(port) is None


async def test_a_server_in_production_says_nothing() -> None:
    async with ready_tokens({"ok": False}, status=404) as port:
        assert await accepts(port) is None


async def test_no_server_says_nothing() -> None:
    assert await accepts(free_port()) is None


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 banana\r\n\r\n"])
async def test_a_program_that_speaks_no_http_does_not_hold_the_command_up(greeting: bytes) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        assert await accepts(server.sockets[0].getsockname()[1]) is None
