"""One timer wheel for all sessions: heartbeats, time limits of upgrades and joins, expiring identities.

Time is cut into ticks and the wheel into slots, each a set of timers; one loop timer turns it while there is anything
to wait for. Setting, moving and stopping a timer cost the same however many there are. A timer rings up to one tick
late, never early.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

SLOTS = 512
GRAIN = 0.001
"""The event loop may round times to milliseconds, down too: without this it would spin until a tick is due."""


class Timer:
    """Derive from it and override `fire`. It waits for one thing at a time."""

    __slots__ = ("_rounds", "_slot")

    def __init__(self) -> None:
        self._slot = -1
        self._rounds = 0

    @property
    def is_set(self) -> bool:
        return self._slot >= 0

    def fire(self) -> None:
        raise NotImplementedError


class Wheel:
    def __init__(self, tick: float) -> None:
        """`tick` is in seconds."""
        self._tick = tick
        self._slots: list[set[Timer]] = [set() for _ in range(SLOTS)]
        self._at = 0
        self._waiting = 0
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def __len__(self) -> int:
        return self._waiting

    def start(self, timer: Timer, seconds: float) -> None:
        """Let it ring after `seconds`, whatever it waited for before."""
        self.stop(timer)
        if self._handle is None:
            self._begin()
        # One more than it takes, as the current tick has begun already.
        ticks = max(1, math.ceil(seconds / self._tick)) + 1
        timer._rounds, offset = divmod(ticks - 1, SLOTS)
        timer._slot = (self._at + 1 + offset) % SLOTS
        self._slots[timer._slot].add(timer)
        self._waiting += 1

    def stop(self, timer: Timer) -> None:
        if timer._slot >= 0:
            self._slots[timer._slot].discard(timer)
            timer._slot = -1
            self._waiting -= 1

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._tick
        self._handle = loop.call_at(self._due + GRAIN, self._turn)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        # A loop that was held up turns several ticks at once.
        try:
            while self._due <= now:
                self._due += self._tick
                self._at = (self._at + 1) % SLOTS
                self._fire(self._slots[self._at])
        finally:
            self._handle = loop.call_at(self._due + GRAIN, self._turn) if self._waiting else None

    def _fire(self, slot: set[Timer]) -> None:
        if slot:
            self._fire_each(slot, iter(list(slot)))

    def _fire_each(self, slot: set[Timer], timers: Iterator[Timer]) -> None:
        try:
            for timer in timers:
                # One that rang before it in this turn may have moved it.
                if timer not in slot:
                    continue
                if timer._rounds:
                    timer._rounds -= 1
                    continue
                slot.discard(timer)
                timer._slot = -1
                self._waiting -= 1
                timer.fire()
        except BaseException:
            # The loop logs it; what comes behind is not kept from ringing.
            asyncio.get_running_loop().call_soon(self._fire_each, slot, timers)
            raise

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for slot in self._slots:
            slot.clear()
        self._waiting = 0
