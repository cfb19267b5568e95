"""Redelivery: pushes that a device has not acked are sent again, a few times, while it is connected.

1. Only a device that gave its name is asked for acks. A front end without a name gets every push once.
2. A repeat sends what is saved at that time: a notification that was read or deleted meanwhile is not repeated.
3. A device that did not ack one push after all attempts is unresponsive: nothing is repeated until it acks a push.
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
from rtserver.tasks import TaskSpawner
from rtserver.telemetry.trouble_log import TroubleLog

MAX_UNACKED = 100
"""Pushes of one device that are watched; beyond, the oldest is given up."""
BACKOFF_FACTORS = (1, 3, 9)
"""The pauses before each repeat, as multiples of the first."""

Record = Callable[[str, int], Awaitable[None]]
Reload = Callable[[str], Awaitable[Notification | None]]

_trouble = TroubleLog(structlog.get_logger("rtserver.notifications"), "receipt_not_saved", "receipt_saved")


@dataclass(slots=True)
class _Push:
    """One notification on its way. `acks`: the ack ids of all attempts, any of which may still be answered."""

    seq: int
    silent: bool
    attempts: int = 0
    acks: list[int] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Redelivery:
    """The unacked pushes of one connected device.

    `record(id, seq)` saves the receipt. `reload(id)` returns the notification as it is now, None where it is read,
    deleted or expired. `pause`: seconds before the first repeat.
    """

    def __init__(self, client: Client, *, record: Record, reload: Reload, pause: float, tasks: TaskSpawner) -> None:
        self._client = client
        self._record = record
        self._reload = reload
        self._pause = pause
        self._tasks = tasks
        self._unacked: dict[str, _Push] = {}
        self._unresponsive = False

    def push(self, note: dict[str, Any]) -> None:
        """Send a notification. Of a group that grew, only the latest state is watched."""
        self._drop(note["id"])
        if len(self._unacked) >= MAX_UNACKED:
            self._drop(next(iter(self._unacked)))
        self._unacked[note["id"]] = push = _Push(note["seq"], note.get("silent", False))
        self._send(push, note)

    def close(self) -> None:
        """The device disconnected: it finds unacked notifications in its list."""
        for id_ in list(self._unacked):
            self._drop(id_)

    def _send(self, push: _Push, note: dict[str, Any]) -> None:
        id_ = note["id"]

        def acked(values: AckResult) -> None:
            if values is not None and self._unacked.get(id_) is push:
                self._drop(id_)
                self._unresponsive = False
                self._tasks.spawn(_logged(self._record(id_, push.seq)))

        push.attempts += 1
        push.acks.append(self._client.on_ack(acked))
        self._client.send_event(["notification", note], push.acks[-1])
        self._start_timer(id_, push)

    def _start_timer(self, id_: str, push: _Push) -> None:
        pause = self._pause * BACKOFF_FACTORS[min(push.attempts, len(BACKOFF_FACTORS)) - 1]
        push.timer = asyncio.get_running_loop().call_later(pause, self._on_timeout, id_, push)

    def _on_timeout(self, id_: str, push: _Push) -> None:
        if push.attempts > len(BACKOFF_FACTORS):
            self._unresponsive = True
        if self._unresponsive:
            self._drop(id_)
        else:
            self._tasks.spawn(_logged(self._resend(id_, push)))

    async def _resend(self, id_: str, push: _Push) -> None:
        try:
            note = await self._reload(id_)
        except EventError:
            if self._unacked.get(id_) is push:
                self._start_timer(id_, push)  # the database is unavailable: this does not count as an attempt
            return
        if self._unacked.get(id_) is not push:
            return
        if note is None:
            self._drop(id_)
        else:
            self._send(push, wire_of(note, push.silent))

    def _drop(self, id_: str) -> None:
        push = self._unacked.pop(id_, None)
        if push is not None:
            if push.timer is not None:
                push.timer.cancel()
            for ack in push.acks:
                self._client.forget_ack(ack)


def wire_of(note: Notification, silent: bool) -> dict[str, Any]:
    """The payload of `notification`. `silent`: the front end shows and counts it, without a sound."""
    built: dict[str, Any] = to_builtins(note)
    return {**built, "silent": True} if silent else built


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except EventError as error:
        _trouble.failed(error.message)
    else:
        _trouble.worked()
