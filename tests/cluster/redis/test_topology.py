"""Redis topologies, each with a real Redis: TLS, a Unix socket, Sentinels through a failover, a Cluster."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from rtserver.cluster.emitter.emitter import Emitter
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.topology import SLOT_KEY
from rtserver.telemetry.metrics import Metrics
from tests.cluster.load import CHANNEL
from tests.cluster.redis.test_redis_faults import QUICK, loaded
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.process import Processes
from tests.support.redis_server import RedisServer
from tests.support.redis_topologies import Cluster, Sentinels, secure_redis

PASSWORD = "p@ss/w:#?%+ ä"


@contextlib.asynccontextmanager
async def refused(url: str) -> AsyncIterator[list[Any]]:
    """Return the log of a bus that cannot connect."""
    bus = RedisBus(url, Metrics(), **QUICK)  # type: ignore[arg-type]
    with capture_logs() as logs:
        await bus.start()
        await eventually(lambda: logs)
        assert not bus.ready
        yield logs
        await bus.stop()


async def test_tls_with_a_private_ca(processes: Processes, tmp_path: Path) -> None:
    server, port = await asyncio.to_thread(secure_redis, processes, tmp_path)
    async with loaded(f"valkeys://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}") as load:
        outage = await load.survive(lambda: asyncio.to_thread(server.stop), lambda: asyncio.to_thread(server.start))
        assert outage.lost <= outage.published
    async with refused(f"rediss://127.0.0.1:{port}/0") as logs:
        assert "CERTIFICATE_VERIFY_FAILED" in logs[0]["error"]
    async with loaded(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none&ssl_check_hostname=no"):
        pass


@pytest.mark.parametrize("scheme", ["unix", "valkey+unix"])
async def test_a_unix_socket_and_a_password_of_any_characters(
    processes: Processes, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "redis.sock"
    server = RedisServer(processes, "--unixsocket", str(path), "--requirepass", PASSWORD)
    await asyncio.to_thread(server.start)
    async with loaded(f"{scheme}://:{quote(PASSWORD, safe='')}@{path}?db=2") as load:
        await load.flowing()
        assert b"db=2" in await load.sender.ask("CLIENT", "INFO")
    async with refused(f"{scheme}://:{quote(PASSWORD, safe='')}wrong@{path}") as logs:
        assert "WRONGPASS" in logs[0]["error"].upper() or "invalid" in logs[0]["error"]
    assert PASSWORD not in str(logs)


async def test_a_failover_by_sentinel_loses_live_events_of_the_outage_only(processes: Processes) -> None:
    sentinels = await asyncio.to_thread(Sentinels, processes)
    nobody = free_port()
    login, sentinel_login = (quote(each, safe="") for each in (Sentinels.password, Sentinels.sentinel_password))
    hosts = f"127.0.0.1:{nobody},127.0.0.1:{sentinels.port}"

    async def kill() -> None:
        sentinels.primary.kill()

    with capture_logs() as logs:
        async with loaded(f"redis+sentinel://:{login}@{hosts}/main/0?sentinel_password={sentinel_login}") as load:
            outage = await load.survive(kill)
            assert outage.lost <= outage.published
            assert outage.lines("redis_unreachable") == outage.lines("redis_connected") == 2
            assert await load.sender.ask("CONFIG", "GET", "port") == [b"port", b"%d" % sentinels.replica.port]
    async with refused(f"redis+sentinel://:{login}@{hosts}/main/0?sentinel_password=wrong") as refusals:
        pass
    async with refused(f"redis+sentinel://:{login}@{hosts}/other/0?sentinel_password={sentinel_login}") as others:
        assert "other" in others[0]["error"]
    shown = str([*logs, *outage.logs, *refusals, *others])
    for secret in (Sentinels.password, Sentinels.sentinel_password, login, sentinel_login):
        assert secret not in shown


async def test_a_redis_cluster_works_through_the_node_that_owns_the_slot(processes: Processes) -> None:
    """Keys go to their owner, messages reach every node, subscribers of all are counted; a dead node is survived."""
    cluster = await asyncio.to_thread(Cluster, processes)
    first = cluster.nodes[0].port
    async with loaded(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{first}") as load:
        slot = cluster.clients[0].cluster("KEYSLOT", SLOT_KEY)
        owner = cluster.nodes[slot * 3 // 16384]
        assert await load.sender.ask("CONFIG", "GET", "port") == [b"port", b"%d" % owner.port]
        assert await load.sender.ask("SET", f"{SLOT_KEY}:x", "1") == b"OK"
        others = [client for client, node in zip(cluster.clients, cluster.nodes, strict=True) if node is not owner]
        with others[0].pubsub() as elsewhere:
            elsewhere.subscribe(CHANNEL)
            await eventually(lambda: count(load.sender, 2))
            others[1].publish(CHANNEL, b"not a number")
        assert owner.port != first
        outage = await load.survive(lambda: asyncio.to_thread(owner.stop), lambda: asyncio.to_thread(owner.start))
        assert outage.lost <= outage.published
        await asyncio.to_thread(cluster.wait_until_whole)
        await asyncio.to_thread(cluster.move_slot, slot, cluster.nodes.index(owner), 0)
        await load.survive(lambda: asked(load.sender))
        port = (await load.sender.ask("CONFIG", "GET", "port"))[1]
        assert port == b"%d" % first
    async with refused(f"redis+cluster://127.0.0.1:{free_port()}"):
        pass
    async with Emitter(f"redis+cluster://127.0.0.1:{first}") as emitter:
        await emitter.emit("hello")


async def count(bus: RedisBus, number: int) -> bool:
    return await bus.subscribers(CHANNEL) == number


async def asked(bus: RedisBus) -> None:
    """Redis replies that the key has moved; the bus follows it."""
    with contextlib.suppress(Exception):
        await bus.ask("GET", f"{SLOT_KEY}:x")
