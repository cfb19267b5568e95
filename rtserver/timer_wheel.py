"""Hashed timing wheel: many timers that are set and moved often and rarely fire.

Each session has a timer that is moved with every pong, and nearly never fires. `loop.call_later` keeps its timers in a
heap: adding one costs O(log n), a cancelled one stays in the heap until its time, and each has a handle object. That is
too much for 10,000 sessions. A hashed timing wheel (Varghese and Lauck, 1987) sets, moves and stops a timer in O(1):

1. Time is cut into ticks, and the wheel into `SLOTS` slots, each a set of timers. One timer of the event loop advances
   the wheel by a slot per tick.
2. A timer that is due in `ticks` goes into the slot that is that many steps ahead, modulo `SLOTS`. If that is more than
   one revolution of the wheel, `_rounds` counts how often the slot has to come round before the timer fires.
3. When the wheel reaches a slot, the timers of it with no rounds left fire; the others lose a round.
4. The price is precision. A timer set by `start` fires up to one tick late, but never early: what it allows for is
   allowed in full. One set by `start_before` fires up to one tick early, but never late: a heartbeat has a time that
   the other side knows, and what comes after it is too late.
5. The wheel stops while no timer is set, so an idle server does not wake up.
6. A timer is an object that inherits `Timer`: a session is its own timer, which saves an object per session. It waits
   for one thing at a time; to start it again moves it.
7. A timer whose `fire` raises does not keep the others of its slot from firing.
8. A set of Python keeps the memory of its largest crowd. So a slot is made small again when its last timer is stopped
   and when the wheel has passed it: a crowd that moves round the wheel leaves nothing behind.
9. After a stall of the process the event loop delivers input before it runs its timers. Whoever must not act on input
   of clients whose time is over compares `late_at` with the clock, and calls `catch_up`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator

SLOTS = 512
GRAIN = 0.001
"""Seconds added to each deadline: an event loop may round times down to milliseconds, and would run in a busy loop for
the rest of the last one."""
LATE = 0.25
"""Seconds behind its time at which the wheel is late. Less is the everyday delay of an event loop."""


class Timer:
    """Base class: override `fire`."""

    __slots__ = ("_rounds", "_slot")

    def __init__(self) -> None:
        self._slot = -1
        self._rounds = 0

    @property
    def is_set(self) -> bool:
        """Whether it is waiting to fire."""
        return self._slot >= 0

    def fire(self) -> None:
        """Called when the time is over. The timer may be started again within."""
        raise NotImplementedError


class Wheel:
    """The timers of one event loop; `len` is how many are set.

    `late_at`: when the wheel is late, on the clock of `time.perf_counter`; infinity while no timer is set.
    `behind`: the seconds by which the timers that fire now are late.
    """

    def __init__(self, tick: float, on_late: Callable[[float], None] = lambda _: None) -> None:
        """`tick`: seconds, by which a timer may be late; `on_late` gets the seconds of each longer delay."""
        self._tick = tick
        self._slots: list[set[Timer]] = [set() for _ in range(SLOTS)]
        self._position = 0
        self._count = 0
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._on_late = on_late
        self.late_at = math.inf
        self.behind = 0.0

    def __len__(self) -> int:
        return self._count

    def start(self, timer: Timer, seconds: float) -> None:
        """Let it fire after `seconds`; a timer that is set already is moved."""
        # A part of the current tick has passed: the first one to come does not count.
        self._insert(timer, max(1, math.ceil(seconds / self._tick)))

    def start_before(self, timer: Timer, seconds: float) -> None:
        """Let it fire within the last tick before `seconds` have passed; a timer that is set already is moved.

        The next tick is the earliest, also if that is later.
        """
        if self._handle is None:
            self._schedule()
        # The event loop adds up to two grains.
        left = asyncio.get_running_loop().time() + seconds - 2 * GRAIN - self._due
        self._insert(timer, max(0, math.floor(left / self._tick)))

    def _insert(self, timer: Timer, ticks: int) -> None:
        """Let it fire so many ticks after the next one."""
        self.stop(timer)
        if self._handle is None:
            self._schedule()
        timer._rounds, offset = divmod(ticks, SLOTS)
        timer._slot = (self._position + 1 + offset) % SLOTS
        self._slots[timer._slot].add(timer)
        self._count += 1

    def stop(self, timer: Timer) -> None:
        """Let it not fire; has no effect on a timer that is not set."""
        if timer._slot >= 0:
            slot = self._slots[timer._slot]
            slot.discard(timer)
            if not slot:
                slot.clear()  # rule 8
            timer._slot = -1
            self._count -= 1

    def catch_up(self) -> None:
        """Fire what is due by now. Call it only when the wheel is late: after `late_at`."""
        if self._handle is not None:
            self._handle.cancel()
        # The event loop's clock may stand still since the beginning of this iteration.
        self._advance_to(self._due + time.perf_counter() - (self.late_at - LATE))

    def _schedule(self) -> None:
        self._due = asyncio.get_running_loop().time() + self._tick
        self._wait(self._tick)

    def _wait(self, seconds: float) -> None:
        self.late_at = time.perf_counter() + seconds + LATE
        self._handle = asyncio.get_running_loop().call_at(self._due + GRAIN, self._advance)

    def _advance(self) -> None:
        self._advance_to(asyncio.get_running_loop().time())

    def _advance_to(self, now: float) -> None:
        # Nothing that a timer does may get here again.
        self.late_at = math.inf
        if now - self._due > LATE:
            self._on_late(now - self._due)
        # After a delay of the event loop several ticks are due at once.
        try:
            while self._due <= now:
                self.behind = now - self._due
                self._due += self._tick
                self._position = (self._position + 1) % SLOTS
                self._fire(self._slots[self._position])
        finally:
            self.behind = 0.0
            self._handle = None
            if self._count:
                self._wait(self._due - now)

    def _fire(self, slot: set[Timer]) -> None:
        if slot:
            self._fire_each(slot, iter(list(slot)))
            left = list(slot)
            slot.clear()  # rule 8
            slot.update(left)
        else:
            slot.clear()

    def _fire_each(self, slot: set[Timer], timers: Iterator[Timer]) -> None:
        try:
            for timer in timers:
                # Another timer of this slot may have moved or stopped it when it fired.
                if timer not in slot:
                    continue
                if timer._rounds:
                    timer._rounds -= 1
                    continue
                slot.discard(timer)
                timer._slot = -1
                self._count -= 1
                timer.fire()
        except BaseException:
            # The event loop logs the error; the rest of the slot fires in its next iteration.
            asyncio.get_running_loop().call_soon(self._fire_each, slot, timers)
            raise

    def close(self) -> None:
        """Drop all timers."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.late_at = math.inf
        for slot in self._slots:
            slot.clear()
        self._count = 0
