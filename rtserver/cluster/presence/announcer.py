"""Tells the subscribers of a presence, in order for each user; a slow or failing one holds up nobody else's server."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("rtserver.presence")

LANES = 8
"""So many users are told of at the same time; one user always goes by the same lane."""

Callback = Callable[[str, bool], Awaitable[None]]


class Announcer:
    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._lanes: list[asyncio.Queue[tuple[str, bool]]] = [asyncio.Queue() for _ in range(LANES)]
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, callback: Callback) -> None:
        self._callbacks.append(callback)

    def tell(self, user: str, online: bool) -> None:
        self._lanes[zlib.crc32(user.encode(errors="replace")) % LANES].put_nowait((user, online))

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(lane)) for lane in self._lanes]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self, lane: asyncio.Queue[tuple[str, bool]]) -> None:
        while True:
            user, online = await lane.get()
            for callback in self._callbacks:
                try:
                    await callback(user, online)
                except Exception:
                    log.exception("presence_callback_failed", user=user, online=online)
