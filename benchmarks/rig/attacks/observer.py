"""Another client while an attack runs: the time from each of its events to the ack, and the server's memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from rig.attacks.target import Client, Target

EVERY_SECONDS = 0.03
"""Below the default rate of events."""
WARM_SECONDS = 0.5
AFTER_SECONDS = 0.5
ACK_SECONDS = 90.0
PAGE = os.sysconf("SC_PAGE_SIZE")
ROOM = {"room": "watched"}


@dataclass(slots=True)
class Observed:
    delays: list[float] = field(default_factory=list)
    """In milliseconds."""
    grown: int = 0
    """The most bytes of memory above those before the attack."""


async def observe(target: Target, pid: int, attack: list[str], environment: dict[str, str], limit: float) -> Observed:
    """Read the newest messages of a room again and again until the attack has ended, or `limit` seconds are over."""
    observed = Observed()
    async with aiohttp.ClientSession() as session:
        client = await target.client(session, "watcher")
        await client.call("join", ROOM)
        await client.call("message", ROOM | {"text": "hello"})
        await _history(client, observed, _after(WARM_SECONDS))
        observed.delays.clear()
        before = resident(pid)
        memory = asyncio.create_task(_memory(pid, before, observed))
        process = await asyncio.create_subprocess_exec(*attack, stdin=subprocess.PIPE, env=environment)
        ended = asyncio.create_task(process.communicate(f"{target.secret}\n{target.api_key}\n".encode()))
        late = _after(limit)
        await _history(client, observed, lambda: ended.done() or late())
        killed = not ended.done()
        if killed:
            process.kill()
        await ended
        await _history(client, observed, _after(AFTER_SECONDS))
        memory.cancel()
        await client.socket.close()
    if process.returncode and not killed:
        raise ConnectionError(f"the attack ended with code {process.returncode}")
    return observed


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


async def _history(client: Client, observed: Observed, over: Callable[[], bool]) -> None:
    while not over():
        began = time.perf_counter()
        async with asyncio.timeout(ACK_SECONDS):
            answer = await client.call("history", ROOM | {"limit": 1})
        if not answer.get("ok"):
            raise ConnectionError(str(answer))
        observed.delays.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(EVERY_SECONDS)


async def _memory(pid: int, before: int, observed: Observed) -> None:
    while True:
        observed.grown = max(observed.grown, resident(pid) - before)
        await asyncio.sleep(0.05)


def resident(pid: int) -> int:
    """Bytes of memory of the process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * PAGE
