"""The pushes that one device has not acked yet. They are sent again until it does, a few times, while it is connected.

1. Only a device that gave its name is asked for acks: a front end that never heard of them is sent everything once.
2. What is sent again is what is saved by then: what was read or deleted meanwhile is not brought back.
3. A device that let one push go unacked to the end is sent nothing twice until it acks something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from msgspec import to_builtins

from rtserver.errors import EventError
from rtserver.sio.broadcast.recipient import AckResult
from rtserver.sio.client.client import Client
from rtserver.store.notifications.records import Notification

MOST_WAITING = 100
STEPS = (1, 3, 9)
"""The pauses before each further attempt, as multiples of the first."""

Record = Callable[[str, int], Awaitable[None]]
Reload = Callable[[str], Awaitable[Notification | None]]

log = structlog.get_logger("rtserver.notifications")


@dataclass(slots=True)
class _Push:
    seq: int
    silent: bool
    attempts: int = 0
    acks: list[int] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Redelivery:
    """`record(id, seq)` saves that the device has it, `reload(id)` gives it as it is; `pause`: seconds."""

    def __init__(self, client: Client, *, record: Record, reload: Reload, pause: float) -> None:
        self._client = client
        self._record = record
        self._reload = reload
        self._pause = pause
        self._waiting: dict[str, _Push] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf = False

    def push(self, note: dict[str, Any]) -> None:
        """Send it. Of a group that grew only the latest state is waited for."""
        self._forget(note["id"])
        if len(self._waiting) >= MOST_WAITING:
            self._forget(next(iter(self._waiting)))
        self._waiting[note["id"]] = push = _Push(note["seq"], note.get("silent", False))
        self._send(push, note)

    def close(self) -> None:
        """The device went: what it has not acked it finds in the list."""
        for id_ in list(self._waiting):
            self._forget(id_)

    def _send(self, push: _Push, note: dict[str, Any]) -> None:
        id_ = note["id"]

        def acked(values: AckResult) -> None:
            if values is not None and self._waiting.get(id_) is push:
                self._forget(id_)
                self._deaf = False
                self._spawn(self._record(id_, push.seq))

        push.attempts += 1
        push.acks.append(self._client.on_ack(acked))
        self._client.send_event(["notification", note], push.acks[-1])
        self._wait(id_, push)

    def _wait(self, id_: str, push: _Push) -> None:
        pause = self._pause * STEPS[min(push.attempts, len(STEPS)) - 1]
        push.timer = asyncio.get_running_loop().call_later(pause, self._overdue, id_, push)

    def _overdue(self, id_: str, push: _Push) -> None:
        if push.attempts > len(STEPS):
            self._deaf = True
        if self._deaf:
            self._forget(id_)
        else:
            self._spawn(self._again(id_, push))

    async def _again(self, id_: str, push: _Push) -> None:
        try:
            note = await self._reload(id_)
        except EventError:
            if self._waiting.get(id_) is push:
                self._wait(id_, push)  # the database is away: this attempt was none
            return
        if self._waiting.get(id_) is not push:
            return
        if note is None:
            self._forget(id_)
        else:
            self._send(push, pushed(note, push.silent))

    def _forget(self, id_: str) -> None:
        push = self._waiting.pop(id_, None)
        if push is not None:
            if push.timer is not None:
                push.timer.cancel()
            for ack in push.acks:
                self._client.forget_ack(ack)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def pushed(note: Notification, silent: bool) -> dict[str, Any]:
    """As it goes out. `silent`: it is to be shown and counted, and to make no sound."""
    built: dict[str, Any] = to_builtins(note)
    return {**built, "silent": True} if silent else built


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except EventError as error:
        log.warning("receipt_not_saved", error=error.message)
