"""Backpressure: the bytes that wait for clients, for each and for all of them, and which clients are slow.

A server cannot send faster than its clients read; what they have not read yet waits in memory. Node sets no bound to
it. Here it is bounded, but a client is judged by its progress, not by what waits: a large event on a slow line is no
fault, and a client between two polls could not take anything yet.

1. Only what waits is counted, on the slow branch: the queue of a polling session, and what the system did not accept of
   the frames of a WebSocket, also behind its close, beyond `UNCOUNTED` bytes; answers that are not read, from the first
   byte, as nothing else ends them. A client that takes everything is not known here.
2. Each `LOOK_SECONDS` the bytes that were taken since the last look are found out. A WebSocket that has more than
   `outbox_limit` bytes waiting is closed as slow if it took fewer than `PROGRESS` in `SLOW_SECONDS`. The system's own
   buffer hides progress for seconds, so bytes that the peer has acknowledged count too. The same holds for answers that
   are not read. No heartbeat ends these, so with less waiting they have `DEAD_SECONDS`.
3. One client may have `HARD_FACTOR` times `outbox_limit` bytes waiting, and one message more. Beyond that it is closed
   as slow, whatever its progress. For a polling session this is the only bound of its own: one that polls no more is
   ended by its heartbeat.
4. All clients together may have `total_limit` bytes waiting. Beyond that, room is made: those with most bytes waiting
   are closed first. The bytes of one that has taken something since the last look count for less (`FAVOUR`), but they
   count: otherwise a few that read a little of very much could have everybody else closed. A part (`ROOM`) of the limit
   is freed at once, so that the search is not repeated with every message.
5. Volatile messages are dropped long before, where they would have to wait.
6. A client that asks and does not read the answers has `ANSWERS` bytes of them waiting, and one answer more; until it
   takes some, its further requests wait. So a few small requests cannot fill the memory with large answers. What others
   send to it does not count here: a client on a slow line may ask for something, however much is on its way.

What a WebSocket has buffered is asked of its transport, which does not report each byte that leaves. So between two
looks the counts are upper bounds; before anybody is closed they are taken anew.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from rtserver.timer_wheel import Timer, Wheel

OVERHEAD = 64
"""Bytes that Python needs for a queued packet beside its content."""
UNCOUNTED = 4096
ANSWERS = 65536
HARD_FACTOR = 16
LOOK_SECONDS = 1.0
SLOW_SECONDS = 5.0
DEAD_SECONDS = 75.0
PROGRESS = 8192
ROOM = 1 / 8
FAVOUR = 4
"""Bytes of a client that takes them weigh so many times less, where room is made."""


class Waiter(Protocol):
    """A client for which bytes wait. Implemented by `Session`, `UnreadAnswers`, and a `WebSocket` that closes."""

    @property
    def closed(self) -> bool: ...

    @property
    def uncounted(self) -> int:
        """Bytes that may wait and are not worth counting."""

    @property
    def waiting(self) -> int:
        """Bytes that wait now, in the queue or in the buffer of the WebSocket."""

    @property
    def in_transit(self) -> int:
        """Bytes that the system has accepted and the peer has not acknowledged."""

    @property
    def can_take(self) -> bool:
        """Whether what waits could have been taken: by a WebSocket, not by a client that has not polled yet."""

    def close_as_slow(self) -> None: ...


class _Count:
    """What waits for one client. `taken`: bytes since `since`, the time of its latest progress.

    `answers`: how much of the content are answers, as far as it is mixed evenly. `asking`: the requests that wait.
    """

    __slots__ = ("answers", "asking", "content", "in_transit", "overhead", "since", "taken")

    def __init__(self, now: float) -> None:
        self.content = self.overhead = self.in_transit = self.taken = self.answers = 0
        self.asking: list[asyncio.Future[None]] | None = None
        self.since = now

    @property
    def size(self) -> int:
        return self.content + self.overhead

    def weight(self, now: float) -> float:
        """How much it is in the way of others (rule 4)."""
        return self.size / FAVOUR if now - self.since < LOOK_SECONDS else self.size

    def go_on(self) -> None:
        """Let the requests go on that wait (rule 6)."""
        asking, self.asking = self.asking, None
        for request in asking or ():
            if not request.done():
                request.set_result(None)


class Backpressure(Timer):
    """The clients of one engine for which bytes wait. As a timer, it looks at them until there are none."""

    __slots__ = ("_counts", "_hard_limit", "_limit", "_wheel", "total", "total_limit")

    def __init__(self, wheel: Wheel, limit: int, total_limit: int) -> None:
        """`limit`: bytes that one client may have waiting without progress."""
        super().__init__()
        self._wheel = wheel
        self._limit = limit
        self._hard_limit = HARD_FACTOR * limit
        self._counts: dict[Waiter, _Count] = {}
        self.total = 0
        """Bytes that are counted now."""
        self.total_limit = total_limit

    def admit(self, client: Waiter, waiting: int, size: int, overhead: int = 0) -> bool:
        """Count a message of `size` bytes, behind `waiting` ones; False if the client has been closed instead.

        `overhead`: bytes beside those that `waiting` will report.
        """
        count = self._counts.get(client)
        if waiting + (count.overhead if count is not None else 0) > self._hard_limit:
            client.close_as_slow()
            return False
        return self.add(client, waiting, size, overhead)

    def add(self, client: Waiter, waiting: int, size: int, overhead: int = 0) -> bool:
        """The same without a bound for this client: False if it is closed to make room for all."""
        self.count(client, waiting + size, size, overhead)
        if self.total > self.total_limit:
            self._make_room(client)
        return not client.closed

    def count(self, client: Waiter, waiting: int, size: int = 0, overhead: int = 0) -> None:
        """Count `size` bytes more, after which `waiting` are there. Nobody is closed."""
        count = self._counts.get(client)
        if count is None:
            if not self.is_set:
                self._wheel.start(self, LOOK_SECONDS)
            count = self._counts[client] = _Count(time.monotonic())
            count.content = waiting
            self.total += waiting
        else:
            count.content += size
            self.total += size
            self._update(count, waiting)
        count.overhead += overhead
        self.total += overhead

    def remove(self, client: Waiter) -> None:
        """Nothing waits for this client any more; has no effect on one that is not known."""
        count = self._counts.pop(client, None)
        if count is not None:
            self.total -= count.size
            count.go_on()

    def look_at(self, client: Waiter) -> None:
        """The client has taken much of what waited for it; has no effect on one that is not known."""
        self._look_at(client, time.monotonic())

    def answered(self, client: Waiter, size: int) -> None:
        """The last `size` bytes that were counted for this client are an answer."""
        count = self._counts.get(client)
        if count is not None:
            count.answers = min(count.answers + size, count.content)

    def answers_taken(self, client: Waiter) -> asyncio.Future[None] | None:
        """None, or what to await before the next request of this client is handled (rule 6)."""
        count = self._counts.get(client)
        if count is None or count.answers <= ANSWERS:
            return None
        request: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        count.asking = [*(count.asking or ()), request]
        return request

    def end(self, client: Waiter) -> None:
        """The client has left: its requests need not wait any more."""
        count = self._counts.get(client)
        if count is not None:
            count.answers = 0
            count.go_on()

    def makes_progress(self, client: Waiter) -> bool:
        """Whether bytes wait for this client, and it is taking them."""
        now = time.monotonic()
        self._look_at(client, now)
        count = self._counts.get(client)
        return count is not None and client.can_take and now - count.since < SLOW_SECONDS

    def fire(self) -> None:
        """Look at all clients, and close those that are slow (rule 2)."""
        now = time.monotonic()
        for client in list(self._counts):
            self._look_at(client, now)
            count = self._counts.get(client)
            if count is not None and client.can_take:
                allowed = SLOW_SECONDS if count.size > self._limit else DEAD_SECONDS
                if now - count.since >= allowed:
                    client.close_as_slow()
        if self._counts:
            self._wheel.start(self, LOOK_SECONDS)

    def _look_at(self, client: Waiter, now: float) -> None:
        count = self._counts.get(client)
        if count is not None:
            waiting, in_transit = client.waiting, client.in_transit
            self._update(count, waiting)
            count.taken += max(0, count.in_transit - in_transit)
            count.in_transit = in_transit
            if count.taken >= PROGRESS:
                count.since, count.taken = now, 0
            if waiting <= client.uncounted:
                self.remove(client)

    def _update(self, count: _Count, waiting: int) -> None:
        """Note that only `waiting` bytes of those that are counted are left."""
        taken = count.content - waiting
        if taken > 0:
            overhead = count.overhead * waiting // count.content
            self.total -= taken + count.overhead - overhead
            count.answers = count.answers * waiting // count.content
            count.content, count.overhead = waiting, overhead
            count.taken += taken
            if count.asking is not None and count.answers <= ANSWERS:
                count.go_on()

    def _make_room(self, sending: Waiter) -> None:
        """Close the slowest clients until a part of the limit is free (rule 4).

        The message for `sending` is counted already, and not queued yet.
        """
        now = time.monotonic()
        for client in list(self._counts):
            if client is not sending:
                self._look_at(client, now)
        target = self.total_limit * (1 - ROOM)
        order = sorted(self._counts, key=lambda client: self._counts[client].weight(now), reverse=True)
        for client in order:
            if self.total <= target:
                break
            # What the end of another client led to may have closed this one.
            if client in self._counts:
                client.close_as_slow()
