"""What the settings say is what the server does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtserver.app.composition import SERVER, bounds, create_app
from rtserver.config.settings import Settings
from rtserver.rate_limit import Rate
from rtserver.sio.limits.limits import Limits

SAME = [field.name for field in fields(Limits) if field.name != "connect_rate"]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_bound_is_a_setting() -> None:
    changed = {name: type(getattr(Limits(), name))(7 + at) for at, name in enumerate(SAME)}
    changed |= {"max_attachment_bytes": 1007, "max_backlog_bytes": 1008}
    assert bounds(Settings(rate_connects="9/m", **changed)) == Limits(connect_rate=Rate(9, 60.0), **changed)


def test_the_defaults_of_the_settings_are_those_of_the_server_but_for_the_time_of_handlers() -> None:
    """Code written for python-socketio may take its time, so the limit is the application's."""
    assert bounds(Settings()) == Limits(handler_timeout=30.0)


def test_the_engine_has_its_bounds() -> None:
    engine = create_app(Settings(max_packets=5, outbox_limit=5000, max_payload=6000))[SERVER].engine
    assert (engine.options.max_packets, engine.options.outbox_limit, engine.options.max_payload) == (5, 5000, 6000)
    assert (engine.options.per_message_deflate, engine.options.compression_threshold) == (False, 1024)
    engine = create_app(Settings(per_message_deflate=True, compression_threshold=10))[SERVER].engine
    assert (engine.options.per_message_deflate, engine.options.compression_threshold) == (True, 10)


def test_plain_handshakes_may_be_answered_before_aiohttp() -> None:
    """Nothing of the product asks for more of a request than they have (see rtserver.engine.runner)."""
    engine = create_app(Settings(cors_origins=["https://page.example"]))[SERVER].engine
    assert engine.options.keep_connections
    assert not engine.needs_request
    assert engine.options.allow_request is None


async def test_a_server_with_settings_of_its_own(server: Any, js: Any) -> None:
    running = await server(PARSER="msgpack", MAX_CONNECTIONS_PER_USER=1, RATE_CONNECTS="100/s", HANDLER_TIMEOUT=5)
    first = await js(running.url, "/notifications", token=running.token("ada"), parser="msgpack")
    assert (await first.call("list", {}))["ok"]
    second = await js(running.url, "/notifications", token=running.token("ada"), parser="msgpack", wait=False)
    assert await second.connect_error() == {
        "message": "Too many connections", "data": {"code": "rate_limited", "limit": "user"},
    }  # fmt: skip


async def test_the_log_names_a_page_that_may_not_connect_once(server: Any) -> None:
    """Its browser tells the page nothing, so whoever set the server up has to find the origin somewhere."""
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
