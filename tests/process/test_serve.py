"""rtserver/process/serve.py: idle connections are closed."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.app.composition import create_app
from rtserver.config.settings import Settings
from rtserver.engine import runner
from rtserver.engine import server as engine_server
from rtserver.process import serve
from rtserver.process.standalone_host import StandaloneHost
from tests.support.ports import free_port


@pytest.mark.parametrize("start", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: "])
async def test_a_connection_without_a_whole_request_is_closed(tmp_path, monkeypatch, start):
    monkeypatch.setattr(serve, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(engine_server, "IDLE_TICK", 0.05)
    monkeypatch.setattr(serve, "calm_collector", lambda: None)
    settings = Settings(port=free_port(), data_dir=tmp_path, mode="development")
    host = StandaloneHost(settings.host, settings.port, drains=False)
    serving = asyncio.create_task(serve.serve(create_app(settings), settings, host))
    async with asyncio.timeout(10):
        reader, writer = await _connected(settings.port)
        writer.write(start)
        assert await reader.read() == b""
    writer.close()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
