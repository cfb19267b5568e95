"""Rolling restart of two instances behind the real nginx, HAProxy and Caddy, with TLS, while clients send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.process import Processes
from tests.support.proxies import PROXIES
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer, sqlite_url
from tests.support.talker import Talker, until_all_heard

TRANSPORTS = (["polling"], ["websocket"], ["polling", "websocket"])


async def emit_all_the_time(url: str, key: str, until: asyncio.Event) -> set[int]:
    """A backend on the HTTP API; returns the statuses that it received."""
    statuses = set()
    event = {"namespace": "/chat", "event": "news", "args": [1]}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        while not until.is_set():
            async with http.post(f"{url}/api/emit", json=event, ssl=False) as answer:
                statuses.add(answer.status)
            await asyncio.sleep(0.01)
    return statuses


async def until_chosen(url: str, instance: str) -> None:
    """Wait until the proxy opens sessions on that instance again."""
    async with aiohttp.ClientSession() as http:
        polling = f"{url}/socket.io/?EIO=4&transport=polling"
        while True:
            async with http.get(polling, ssl=False) as answer:
                opened = (await answer.text())[1:] if answer.status == 200 else "{}"
            if sid := json.loads(opened).get("sid", ""):
                await http.post(f"{polling}&sid={sid}", data="1", ssl=False)
            if sid.startswith(instance):
                return
            await asyncio.sleep(0.05)


async def test_a_rolling_restart_loses_no_message_and_costs_each_client_one_reconnect(
    server: Callable[..., Awaitable[RtServer]], processes: Processes, redis_server: RedisServer, js: Any, tmp_path: Path
) -> None:
    """Three clients behind each proxy, one of each transport; and a backend at each."""
    settings = {
        "REDIS_URL": redis_server.url,
        "DATABASE_URL": sqlite_url(tmp_path / "shared.db"),
        "TRUSTED_PROXIES": "127.0.0.1",
        "DRAIN_SECONDS": 2,
        # Longer than the two seconds for which nginx avoids an instance that refused.
        "DRAIN_DELAY": 3,
    }
    a = await server(INSTANCE="a", **settings)
    b = await server(INSTANCE="b", migrate=False, **settings)
    urls = [start(processes, a, b, {}) for start in PROXIES.values()]
    talkers = []
    for number in range(9):
        options = {"transports": TRANSPORTS[number % 3], "rejectUnauthorized": False, "reconnectionDelay": 200}
        name = f"talker{number}"
        talkers.append(Talker(await js(urls[number // 3], "/chat", token=a.token(name), **options), name))
    assert {str(talker.client.engine_id)[:2] for talker in talkers} == {"a-", "b-"}

    over = asyncio.Event()
    emitting = [asyncio.create_task(emit_all_the_time(url, a.api_key, over)) for url in urls]
    talking = [asyncio.create_task(talker.talk(over)) for talker in talkers]
    await a.restart()
    await asyncio.gather(*(until_chosen(url, "a-") for url in urls))
    await b.restart()
    over.set()
    await asyncio.gather(*talking)

    said = set().union(*(talker.said for talker in talkers))
    assert said == set(range(1, len(said) + 1))
    await until_all_heard(talkers, said)
    for talker in talkers:
        await talker.stop()
        # A failed attempt counts as an extra reconnect too.
        await talker.client.connected()
        attempts = talker.client.times("manager", "reconnect_attempt")
        assert attempts <= 2, talker.client._story()
        assert talker.client.times("manager", "reconnect_error") == 0, talker.client._story()
        assert talker.client.times("manager", "reconnect") == attempts, talker.client._story()
    assert sum(talker.client.times("manager", "reconnect") for talker in talkers) >= len(talkers)
    assert await asyncio.gather(*emitting) == [{200}] * len(urls)
