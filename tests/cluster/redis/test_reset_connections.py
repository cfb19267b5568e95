"""Connections that are reset: uvloop raises `RuntimeError` where a closed transport is used; nobody sees it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from rtserver import Emitter
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.connection import FAILURES, ask, closed, connector, opened
from rtserver.cluster.redis.resp_protocol import RespProtocol, pack
from rtserver.errors import Unavailable
from rtserver.ingest.redis_stream import RedisStreamConsumer
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

Scenario = Callable[[TcpProxy, str], Awaitable[None]]


def on_uvloop(redis_server: RedisServer, scenario: Scenario) -> None:
    async def run() -> None:
        async with TcpProxy().to(redis_server.port) as line:
            await scenario(line, f"redis://127.0.0.1:{line.port}/0")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def reset(line: TcpProxy) -> None:
    """Reset all connections, and let every end notice."""
    line.cut()
    for _ in range(20):
        await asyncio.sleep(0.005)


def test_an_emitter_raises_unavailable_and_then_works_again(redis_server: RedisServer) -> None:
    async def scenario(line: TcpProxy, url: str) -> None:
        async with Emitter(url) as emitter:
            await emitter.to("hall").emit("news", 1)
            for _ in range(3):
                await reset(line)
                with pytest.raises(Unavailable):
                    await emitter.to("hall").emit("news", 2)
                line.mend()
                await emitter.to("hall").emit("news", 3)

    on_uvloop(redis_server, scenario)


def test_a_bus_logs_the_outage_and_no_traceback(redis_server: RedisServer) -> None:
    async def scenario(line: TcpProxy, url: str) -> None:
        bus = RedisBus(url, Metrics(), heartbeat=0.1)
        bus.subscribe("news", lambda channel, payload: None)
        await bus.start()
        assert await bus.wait_ready(5)
        for _ in range(5):
            line.cut()
            for _ in range(50):
                bus.publish("news", b"x" * 1000)
                bus.subscribe("more", print)
                bus.unsubscribe("more", print)
                await asyncio.sleep(0)
            await eventually(lambda: not bus.ready)
            line.mend()
            assert await bus.wait_ready(5)
        await bus.stop()

    with capture_logs() as logs:
        on_uvloop(redis_server, scenario)
    assert {line["event"] for line in logs} == {"redis_unreachable", "redis_connected"}


def test_the_inbox_logs_the_outage_and_no_traceback(redis_server: RedisServer) -> None:
    async def scenario(line: TcpProxy, url: str) -> None:
        async def process(entries: Any, settle: Any) -> None:
            line.cut()  # while it works on them, its connection is idle
            await asyncio.sleep(0.05)
            for entry in entries:
                settle(entry, None)

        metrics = Metrics()
        inbox = RedisStreamConsumer(
            connector(url), process, metrics, stream="inbox", dead="inbox:dead", consumer="one", lease=0.3
        )
        await inbox.start()
        direct = connector(redis_server.url)
        for number in range(3):
            writer = await opened(direct)
            await ask(writer, "XADD", "inbox", "*", "n", number)
            await closed(writer)
            await eventually(lambda: metrics.inbox is None)
            line.mend()
            await eventually(lambda: metrics.inbox is not None)
        await inbox.stop()

    with capture_logs() as logs:
        on_uvloop(redis_server, scenario)
    assert {line["event"] for line in logs} <= {"inbox_unreachable", "inbox_reachable"}


def test_each_use_of_a_closed_transport_is_a_failure_of_redis(redis_server: RedisServer) -> None:
    async def scenario(line: TcpProxy, url: str) -> None:
        connect = connector(url)

        async def fails(work: Coroutine[Any, Any, Any]) -> None:
            with pytest.raises(FAILURES):
                await work

        asked = await opened(connect)
        taken = await opened(connect)
        late = await opened(connect)
        protocol = RespProtocol(taken, lambda reply: None)
        await reset(line)
        await fails(ask(asked, "PING"))
        await fails(opened(connect))
        with pytest.raises(FAILURES):
            RespProtocol(late, lambda reply: None)
        protocol.write(pack(("PING",)))
        protocol.fail(ValueError())
        with pytest.raises(FAILURES):
            await protocol.lost
        for connection in (asked, taken, late):
            await closed(connection)
            await closed(connection)

    on_uvloop(redis_server, scenario)
