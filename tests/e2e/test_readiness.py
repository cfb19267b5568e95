"""`/healthz` and `/readyz` of a real server whose Redis comes and goes."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import redis.asyncio

from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

SECONDS = 20


async def readiness(http: aiohttp.ClientSession, server: RtServer) -> tuple[int, dict[str, Any]]:
    answer = await http.get(f"{server.url}/readyz")
    return answer.status, await answer.json()


async def until(http: aiohttp.ClientSession, server: RtServer, redis: str) -> int:
    """Probe until Redis is reported in that state; return the status."""
    async with asyncio.timeout(SECONDS):
        while True:
            status, body = await readiness(http, server)
            if body["checks"]["redis"] == redis:
                return status
            await asyncio.sleep(0.05)


async def test_readiness_follows_redis_and_liveness_does_not(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    async with aiohttp.ClientSession() as http:
        assert await readiness(http, running) == (
            200,
            {"status": "ready", "draining": False, "checks": {"database": "ok", "redis": "ok"}},
        )
        redis_server.stop()
        assert await until(http, running, "down") == 503
        assert (await http.get(f"{running.url}/healthz")).status == 200
        redis_server.start()
        assert await until(http, running, "ok") == 200


async def test_a_hanging_redis_is_reported_as_down_in_time(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    redis_server.pause()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        assert await until(http, running, "down") == 503
        redis_server.resume()
        assert await until(http, running, "ok") == 200


async def test_the_server_starts_and_runs_without_its_redis(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> None:
    redis_server.stop()
    running = await server(REDIS_URL=redis_server.url, wait="/healthz")
    async with aiohttp.ClientSession() as http:
        status, body = await readiness(http, running)
        assert (status, body["checks"]) == (503, {"database": "ok", "redis": "down"})
        redis_server.start()
        assert await until(http, running, "ok") == 200


async def test_an_unreachable_redis_delays_no_start_and_is_down_in_the_metrics(
    server: Callable[..., Awaitable[RtServer]],
) -> None:
    silent = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    running = await server(REDIS_URL=f"redis://:hush-hush@127.0.0.1:{port}/0", wait="/healthz")
    async with aiohttp.ClientSession() as http:
        status, body = await readiness(http, running)
        assert (status, body["checks"]) == (503, {"database": "ok", "redis": "down"})
        assert "rtserver_redis_up 0.0" in await (await http.get(f"{running.url}/metrics")).text()
    await running.stop()
    silent.close()
    assert running.logs().count('"redis_unreachable"') <= 1
    assert "hush-hush" not in running.logs()


async def test_an_instance_that_may_not_subscribe_is_not_ready(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> None:
    """It could publish, and PING is answered, but events of the others would not reach its clients."""
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        await client.execute_command("ACL", "SETUSER", "rt", "on", ">hush-hush", "+@all", "~*", "&other")
        url = f"redis://rt:hush-hush@127.0.0.1:{redis_server.port}/0"
        running = await server(REDIS_URL=url, wait="/healthz")
        async with aiohttp.ClientSession() as http:
            assert await until(http, running, "down") == 503
            assert "rtserver_redis_up 0.0" in await (await http.get(f"{running.url}/metrics")).text()
            await client.execute_command("ACL", "SETUSER", "rt", "allchannels")
            assert await until(http, running, "ok") == 200
    assert "hush-hush" not in running.logs()


async def test_a_full_disk_is_not_ready(server: Callable[..., Awaitable[RtServer]]) -> None:
    """No file of the server can grow; reads go on."""
    running = await server(UPLOAD_LIMIT=1000)

    async def until_status(wanted: int) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            while (found := await readiness(http, running))[0] != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return dict(found[1]["checks"])

    async with aiohttp.ClientSession() as http:
        assert await until_status(200) == {"database": "ok", "uploads": "ok"}
        before = resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        assert "down" in (await until_status(503)).values()
        assert (await http.get(f"{running.url}/healthz")).status == 200
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, before)
        await until_status(200)
