"""Faults of a real Redis under load: only live events of the outage are lost, and order is kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.telemetry.metrics import Metrics
from tests.cluster.load import CHANNEL, Load
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

QUICK = {"heartbeat": 0.2, "timeout": 0.3}
Fault = Callable[[], Awaitable[Any]]


@contextlib.asynccontextmanager
async def loaded(url: str, **options: Any) -> AsyncIterator[Load]:
    buses = [RedisBus(url, Metrics(), **(QUICK | options)) for _ in range(2)]
    for bus in buses:
        await bus.start()
    assert all([await bus.wait_ready(5) for bus in buses])
    try:
        async with Load(*buses).running() as load:
            yield load
    finally:
        for bus in buses:
            await bus.stop()


@pytest.fixture
async def load(redis_server: RedisServer) -> AsyncIterator[Load]:
    async with loaded(redis_server.url) as running:
        yield running


class Faults:
    """Each method is a fault, or (`NAME_end`) its end."""

    channel = CHANNEL
    """One that the servers listen to."""

    def __init__(self, server: RedisServer, client: redis.asyncio.Redis) -> None:
        self.server, self.client = server, client

    async def hung(self) -> None:
        self.server.pause()

    async def hung_end(self) -> None:
        self.server.resume()

    async def paused_by_an_operator(self) -> None:
        await self.client.client_pause(1500)

    async def restarted(self) -> None:
        await asyncio.to_thread(self.server.stop)

    async def restarted_end(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def killed(self) -> None:
        self.server.kill()

    killed_end = restarted_end

    async def publishers_killed(self) -> None:
        await self.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def listeners_killed(self) -> None:
        await self.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    async def made_a_replica(self) -> None:
        await self.client.replicaof("127.0.0.1", free_port())

    async def made_a_replica_end(self) -> None:
        await self.client.replicaof("NO", "ONE")

    async def password_changed(self) -> None:
        await self.client.config_set("requirepass", "another")
        await self.publishers_killed()
        await self.listeners_killed()

    async def password_changed_end(self) -> None:
        await self.client.config_set("requirepass", "")

    async def too_slow_for_its_output_buffer(self) -> None:
        await self.client.config_set("client-output-buffer-limit", "pubsub 100kb 0 0")
        await self.client.publish(self.channel, b"x" * 1_000_000)


FAULTS = [
    "hung",
    "paused_by_an_operator",
    "restarted",
    "killed",
    "publishers_killed",
    "listeners_killed",
    "made_a_replica",
    "password_changed",
    "too_slow_for_its_output_buffer",
]


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_loses_live_events_of_the_outage_only(
    load: Load, redis_server: RedisServer, redis_client: redis.asyncio.Redis, name: str
) -> None:
    faults = Faults(redis_server, redis_client)

    async def nothing() -> None:
        return None

    async def end() -> None:
        assert await unready(load)
        await getattr(faults, f"{name}_end", nothing)()

    outage = await load.survive(getattr(faults, name), end)
    assert outage.lost <= outage.published
    # One line down and one up for each server that noticed, however many events.
    assert 1 <= outage.lines("redis_unreachable") == outage.lines("redis_connected") <= 2
    assert {line["event"] for line in outage.logs} <= {"redis_unreachable", "redis_connected", "redis_refuses"}
    await eventually(lambda: connections(redis_client, 4))


async def unready(load: Load) -> bool:
    """During the outage, readiness and metrics report it."""
    for bus in (load.sender, load.receiver):
        if not bus.ready:
            assert bus.metrics.redis_up is False
            with pytest.raises(Unavailable):
                await bus.ping()
    return True


async def connections(client: redis.asyncio.Redis, count: int) -> bool:
    """Whether each server has exactly two connections: no old one is left at Redis."""
    return sum(each["name"] == "rtserver" for each in await client.client_list()) == count


async def test_messages_lost_with_the_connection_are_counted(load: Load, redis_client: redis.asyncio.Redis) -> None:
    outage = await load.survive(
        lambda: redis_client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    )
    assert isinstance(load.sender.metrics, Metrics)
    assert outage.lost <= load.sender.metrics.drops["redis_publish"] <= outage.published


async def test_a_short_outage_of_publishers_only_is_bridged_by_the_buffer(
    load: Load, redis_server: RedisServer
) -> None:
    """Queued messages are sent when Redis is back, unless they are too old."""
    outage = await load.survive(
        lambda: asyncio.to_thread(redis_server.stop), lambda: asyncio.to_thread(redis_server.start)
    )
    assert outage.lost < outage.published


async def test_forgotten_connections_are_noticed_and_replaced(redis_server: RedisServer) -> None:
    """Half-open TCP: nothing arrives and nothing is closed, but new connections work."""

    async def freeze() -> None:
        proxy.freeze()

    async with TcpProxy().to(redis_server.port) as proxy, loaded(f"redis://127.0.0.1:{proxy.port}/0") as load:
        outage = await load.survive(freeze, noticed=lambda: proxy.frozen == 0)
        assert 0 < outage.lost <= outage.published
        # The two connections of a server may be found dead one after the other.
        assert 2 <= outage.lines("redis_unreachable") == outage.lines("redis_connected") <= 4


async def test_a_full_redis_loses_no_live_event_and_is_logged(load: Load, redis_client: redis.asyncio.Redis) -> None:
    await redis_client.config_set("maxmemory-policy", "noeviction")
    await redis_client.config_set("maxmemory", "1mb")
    with capture_logs() as logs:
        for _ in range(20):
            with pytest.raises(Unavailable):
                await load.sender.ask("SET", "key", "value")
        await load.flowing(300)
    assert load.received == list(range(load.received[0], load.received[-1] + 1))
    assert load.sender.ready
    assert isinstance(load.sender.metrics, Metrics)
    assert load.sender.metrics.redis_errors["OOM"] == 20
    assert b'rtserver_redis_errors_total{code="OOM"} 20.0' in load.sender.metrics.exposition()
    assert [(line["event"], line["code"]) for line in logs] == [("redis_refuses", "OOM")]
    await redis_client.config_set("maxmemory", "0")
    assert await load.sender.ask("SET", "key", "value") == b"OK"


async def test_a_redis_user_without_the_needed_rights_is_an_outage_with_a_reason(
    redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> None:
    await redis_client.execute_command("ACL", "SETUSER", "rt", "on", ">hush", "+@all", "~*", "resetchannels")
    bus = RedisBus(f"redis://rt:hush@127.0.0.1:{redis_server.port}/0", Metrics(), **QUICK)  # type: ignore[arg-type]
    bus.subscribe("news", lambda channel, payload: None)
    with capture_logs() as logs:
        await bus.start()
        await eventually(lambda: logs)
        assert not bus.ready
        await redis_client.execute_command("ACL", "SETUSER", "rt", "allchannels")
        assert await bus.wait_ready(10)
    await bus.stop()
    assert "hush" not in str(logs)
    assert (logs[0]["event"], logs[0]["command"]) == ("redis_refuses", "SUBSCRIBE")
    assert "channel: news" in logs[0]["reason"]


async def test_an_address_that_never_replies_is_an_outage_of_one_log_line() -> None:
    """It accepts connections and sends nothing: the server starts all the same, and goes on trying."""
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    bus = RedisBus(f"redis://:hush@127.0.0.1:{server.sockets[0].getsockname()[1]}/0", Metrics(), **QUICK)  # type: ignore[arg-type]
    with capture_logs() as logs:
        async with asyncio.timeout(0.5):
            await bus.start()
        bus.publish(CHANNEL, b"x")
        await eventually(lambda: len(accepted) >= 4)
        assert not bus.ready
        await bus.stop()
    assert [line["event"] for line in logs] == ["redis_unreachable"]
    assert "hush" not in str(logs)
    for writer in accepted:
        writer.close()
    server.close()


async def test_an_unknown_host_name_is_an_outage_of_one_log_line() -> None:
    bus = RedisBus("redis://:hush@no-such-host.invalid/0", Metrics(), **QUICK)  # type: ignore[arg-type]
    with capture_logs() as logs:
        await bus.start()
        await eventually(lambda: logs)
        await asyncio.sleep(0.3)
        assert not bus.ready
        await bus.stop()
    assert [line["event"] for line in logs] == ["redis_unreachable"]
    assert "no-such-host.invalid" in logs[0]["error"]
    assert "hush" not in str(logs)


async def test_another_server_than_redis_is_an_outage() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n$-5\r\n*99999999999\r\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    bus = RedisBus(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", Metrics(), **QUICK)  # type: ignore[arg-type]
    with capture_logs() as logs:
        await bus.start()
        await eventually(lambda: logs)
        assert not bus.ready
        await bus.stop()
    assert [line["event"] for line in logs] == ["redis_unreachable"]
    server.close()
