"""The chat while the database fails: durable events are rejected, live events continue."""

import asyncio
import contextlib
import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.js_client import JsClient
from tests.support.postgres import PostgresServer
from tests.support.rtserver_process import RtServer

TIMEOUT = 2.0
"""Database timeout in seconds for these tests; the default is five times as long."""

Fault = Callable[[RtServer, PostgresServer | None], contextlib.AbstractAsyncContextManager[None]]


@asynccontextmanager
async def locked(server: RtServer, _: PostgresServer | None) -> AsyncIterator[None]:
    """Another process holds the write lock of the SQLite file."""
    other = sqlite3.connect(file_of(server), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@asynccontextmanager
async def full(server: RtServer, _: PostgresServer | None) -> AsyncIterator[None]:
    """No file of the server can grow, as on a full disk."""
    file = file_of(server)
    size = max(path.stat().st_size for path in (file, Path(f"{file}-wal"), server.folder / "server.log"))
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size + 60_000, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def stopped(_: RtServer, postgres: PostgresServer | None) -> AsyncIterator[None]:
    assert postgres
    await asyncio.to_thread(postgres.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(postgres.start)


@asynccontextmanager
async def hanging(_: RtServer, postgres: PostgresServer | None) -> AsyncIterator[None]:
    assert postgres
    postgres.pause()
    try:
        yield
    finally:
        postgres.resume()


def file_of(server: RtServer) -> Path:
    return server.folder / "rtserver.db"


@pytest.fixture(params=[locked, full, stopped, hanging], ids=lambda fault: fault.__name__)
def fault(request: pytest.FixtureRequest) -> Fault:
    return request.param


@pytest.fixture
def postgres(fault: Fault, request: pytest.FixtureRequest) -> PostgresServer | None:
    return request.getfixturevalue("postgres_server") if fault in (stopped, hanging) else None


async def test_only_saved_messages_are_acked_and_live_events_continue(
    server: Callable[..., Awaitable[RtServer]], js: Any, fault: Fault, postgres: PostgresServer | None
) -> None:
    on_postgres = {"DATABASE_URL": postgres.url} if postgres else {}
    running = await server(RATE_EVENTS="100000/s", DATABASE_TIMEOUT=TIMEOUT, **on_postgres)
    alice, bob = [await js(running.url, "/chat", token=running.token(user)) for user in ("alice", "bob")]
    for client in (alice, bob):
        assert (await client.call("join", {"room": "general"}))["ok"]
    acked = [await said(alice, "before")]

    async with fault(running, postgres):
        refused = await refusal(alice, acked)
        assert refused["error"]["code"] == "unavailable"
        await alice.emit("typing", {"room": "general", "typing": True})
        assert (await bob.next("typing"))[0]["user"] == "alice"

    acked.append(await said(alice, "after"))
    history: list[dict[str, Any]] = []
    more = True
    while more:
        after = history[-1]["seq"] if history else 0
        page = await alice.call("history", {"room": "general", "after": after, "limit": 100})
        history, more = history + page["messages"], page["more"]
    assert [message["seq"] for message in history] == list(range(1, len(history) + 1))
    saved = {message["nonce"]: message for message in history}
    assert len(saved) == len(history)
    for message in acked:
        assert saved[message["nonce"]] == message
    # What was refused may be sent again, and is there once.
    again = (await alice.call("message", refused["sent"]))["message"]
    assert (await alice.call("message", refused["sent"]))["message"] == again


async def refusal(client: JsClient, acked: list[dict[str, Any]]) -> dict[str, Any]:
    """Send until a message is rejected: a full disk accepts a few more. Adds to `acked`."""
    for number in range(200):
        payload = {"room": "general", "text": "x" * 3000, "nonce": f"during {number}"}
        answer = await client.call("message", payload, seconds=TIMEOUT * 4)
        if not answer["ok"]:
            return answer | {"sent": payload}
        acked.append(answer["message"])
    raise AssertionError("it was never refused")


async def said(client: JsClient, text: str) -> dict[str, Any]:
    answer = await client.call("message", {"room": "general", "text": text, "nonce": text})
    assert answer["ok"], answer
    message: dict[str, Any] = answer["message"]
    return message
