"""Announcer: calls the subscribers of presence, in order for each user. A slow or failing one delays no connection."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

import structlog

from rtserver.tasks import cancelled

log = structlog.get_logger("rtserver.presence")

QUEUES = 8
"""Changes of so many users are announced concurrently; those of one user always go through the same queue."""

Callback = Callable[[str, bool], Awaitable[None]]


class Announcer:
    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._queues: list[asyncio.Queue[tuple[str, bool]]] = [asyncio.Queue() for _ in range(QUEUES)]
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, callback: Callback) -> None:
        """Add a subscriber: `await callback(user, online)` for each change."""
        self._callbacks.append(callback)

    def announce(self, user: str, online: bool) -> None:
        """Queue a change; returns at once."""
        self._queues[zlib.crc32(user.encode(errors="replace")) % QUEUES].put_nowait((user, online))

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(queue)) for queue in self._queues]

    async def stop(self) -> None:
        await cancelled(*self._tasks)
        self._tasks = []

    async def _run(self, queue: asyncio.Queue[tuple[str, bool]]) -> None:
        while True:
            user, online = await queue.get()
            for callback in self._callbacks:
                try:
                    await callback(user, online)
                except Exception:
                    log.exception("presence_callback_failed", user=user, online=online)
