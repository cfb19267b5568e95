"""`/healthz` and `/readyz` of a real server whose Redis comes and goes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

SECONDS = 20


async def readiness(http: aiohttp.ClientSession, server: RtServer) -> tuple[int, dict[str, Any]]:
    answer = await http.get(f"{server.url}/readyz")
    return answer.status, await answer.json()


async def until(http: aiohttp.ClientSession, server: RtServer, redis: str) -> int:
    """Ask until Redis is told to be in that state; return the status."""
    async with asyncio.timeout(SECONDS):
        while True:
            status, body = await readiness(http, server)
            if body["checks"]["redis"] == redis:
                return status
            await asyncio.sleep(0.05)


async def test_readiness_follows_redis_down_and_up_again_and_liveness_does_not(
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


async def test_a_redis_that_hangs_is_down_and_the_answer_still_comes(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    redis_server.pause()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        assert await until(http, running, "down") == 503
        redis_server.resume()
        assert await until(http, running, "ok") == 200


async def test_the_server_starts_and_lives_without_its_redis(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> None:
    redis_server.stop()
    running = await server(REDIS_URL=redis_server.url, wait="/healthz")
    async with aiohttp.ClientSession() as http:
        status, body = await readiness(http, running)
        assert (status, body["checks"]) == (503, {"database": "ok", "redis": "down"})
        redis_server.start()
        assert await until(http, running, "ok") == 200
