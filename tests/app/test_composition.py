"""rtserver/app/composition.py: settings reach the parts that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtserver.app.composition import SERVER, create_app
from rtserver.config.settings import Settings


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_engine_gets_its_limits() -> None:
    engine = create_app(Settings(max_packets=5, outbox_limit=5000, outbox_total=70_000, max_payload=6000))[
        SERVER
    ].engine
    limits = engine.options
    assert (limits.max_packets, limits.outbox_limit, limits.max_payload) == (5, 5000, 6000)
    assert limits.outbox_total == 70_000
    assert (engine.options.per_message_deflate, engine.options.compression_threshold) == (False, 1024)
    engine = create_app(Settings(per_message_deflate=True, compression_threshold=10))[SERVER].engine
    assert (engine.options.per_message_deflate, engine.options.compression_threshold) == (True, 10)


def test_the_fast_path_may_answer_handshakes() -> None:
    """No part of the product needs more of a request than the fast path has (see rtserver.engine.runner)."""
    engine = create_app(Settings(cors_origins=["https://page.example"]))[SERVER].engine
    assert engine.options.keep_connections
    assert not engine.needs_request
    assert engine.options.allow_request is None


async def test_settings_change_the_running_server(server: Any, js: Any) -> None:
    running = await server(PARSER="msgpack", MAX_CONNECTIONS_PER_USER=1, RATE_CONNECTS="100/s", HANDLER_TIMEOUT=5)
    first = await js(running.url, "/notifications", token=running.token("ada"), parser="msgpack")
    assert (await first.call("list", {}))["ok"]
    second = await js(running.url, "/notifications", token=running.token("ada"), parser="msgpack", wait=False)
    assert await second.connect_error() == {
        "message": "Too many connections", "data": {"code": "rate_limited", "limit": "user"},
    }  # fmt: skip


async def test_a_rejected_origin_is_logged_once(server: Any) -> None:
    """The browser hides the reason from the page, so the operator has to find the origin in the log."""
    running = await server(CORS_ORIGINS="https://page.example")
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            for path in ("/socket.io/?EIO=4&transport=polling", "/api/notifications"):
                for origin in ("https://other.example", "https://page.example", running.url):
                    async with http.get(running.url + path, headers={"Origin": origin}):
                        pass
    told = [line for line in running.logs().splitlines() if "origin_refused" in line]
    assert len(told) == 1, told
    assert "https://other.example" in told[0]
    assert "RTSERVER_CORS_ORIGINS does not name it" in told[0]
