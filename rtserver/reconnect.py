"""Reconnect loop and outage log: one way to stay connected to a peer, whatever the peer is.

`reconnect` runs attempt after attempt. An attempt is one connection from opening to end; it raises what ended it, and
returns only when the owner has asked to stop. Rules:
1. Every error of an attempt is reported to `on_failure`, faults of our own included, and never ends the loop.
   `on_failure` must not raise.
2. Between attempts there is a pause of the given `Backoff`. `stopping` ends the pause and then the loop.
3. The attempt calls `Backoff.connected` once it works, so that pauses are short after a connection that lasted.

`Outage` and `Episodes` decide whether something that repeats is worth a log line: an outage is reported when it begins
and when it ends; an error that repeats is reported again only after a quiet time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from rtserver.backoff import Backoff


async def reconnect(
    attempt: Callable[[], Awaitable[None]],
    on_failure: Callable[[Exception], None],
    backoff: Backoff,
    *,
    stopping: asyncio.Event | None = None,
) -> None:
    """Run `attempt` until `stopping` is set; without `stopping`, until cancelled.

    `on_failure(error)` is called while the error is being handled, so it may log the traceback.
    """
    stopping = stopping or asyncio.Event()
    while not stopping.is_set():
        try:
            await attempt()
        except Exception as error:  # noqa: BLE001  reported, whatever it is: the loop must go on
            on_failure(error)
        try:
            async with asyncio.timeout(backoff.pause()):
                await stopping.wait()
        except TimeoutError:
            continue


class Outage:
    """Whether a peer is away, and since when."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self) -> bool:
        """Note that the peer is away; return whether that is news."""
        if self._since is not None:
            return False
        self._since = time.monotonic()
        return True

    def end(self) -> float | None:
        """Note that the peer is back; return the seconds that the outage lasted, None when there was none."""
        since, self._since = self._since, None
        return None if since is None else time.monotonic() - since


class Episodes:
    """Repeated events by key: one is news when none of its key came for `quiet` seconds."""

    __slots__ = ("_last", "_quiet")

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._last: dict[str, float] = {}

    def is_news(self, key: str = "") -> bool:
        """Note an event of `key` and return whether an episode begins with it. Keys must be few: none is forgotten."""
        now = time.monotonic()
        last = self._last.get(key)
        self._last[key] = now
        return last is None or now - last >= self._quiet
