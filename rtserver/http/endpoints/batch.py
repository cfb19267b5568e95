"""`POST /api/batch`: many requests in one, each with an answer of its own.

Owns the order: entries with a room or a user in common are carried out one after the other, as given; others run side
by side, so that the database commits many at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from rtserver.errors import EventError, TimedOut, TooLarge
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse
from rtserver.http.endpoints.publish import CommandIntake, emit_answer, message_answer, notify_answer
from rtserver.ingest.commands import EmitRequest, MessageRequest, NotifyRequest, Request
from rtserver.ingest.intake import IngestResult, checked
from rtserver.protocol import json

MAX_ENTRIES = 1000
MAX_USERS = 10_000
"""Users named in all notifications of a batch together: the answer tells of each."""
SIDE_BY_SIDE = 100
BATCH_SECONDS = 25.0
"""After which no further entry is begun: a caller must not wait for ever for a slow database."""

Step = Request | EventError
_EVERYBODY = frozenset({("", "")})


class BatchEntry(Struct, forbid_unknown_fields=True):
    """As in the durable inbox: `kind` is `notification`, `message` or `emit`, `body` what its own address takes."""

    kind: str
    body: Any


class BatchBody(Struct, forbid_unknown_fields=True):
    entries: Annotated[list[BatchEntry], Meta(min_length=1, max_length=MAX_ENTRIES)]


class BatchAnswer(OkResponse, kw_only=True, rename="camel"):
    """One result an entry, in their order: what the entry's own address answers, errors included. Notifications are
    told by `user`, `id`, `seq` and `new` only."""

    results: list[dict[str, Any]]


class BatchApi:
    def __init__(self, taking: CommandIntake, *, seconds: float = BATCH_SECONDS) -> None:
        self._taking = taking
        self._seconds = seconds

    @operation("POST", "/api/batch", summary="Ask for many things at once", tag="batch")
    async def batch(self, body: BatchBody) -> BatchAnswer:
        """The answer is 200 whatever became of the entries: look at each. Repeat those with a `key` as you like."""
        steps = [_checked(entry) for entry in body.entries]
        if sum(map(_users, steps)) > MAX_USERS:
            raise TooLarge(f"A batch names {MAX_USERS} users at most")
        deadline = asyncio.get_running_loop().time() + self._seconds
        results: list[dict[str, Any]] = []
        for window in windows(steps):
            late = asyncio.get_running_loop().time() > deadline
            results += await asyncio.gather(*(self._result(step, late) for step in window))
        return BatchAnswer(results=results)

    async def _result(self, step: Step, late: bool) -> dict[str, Any]:
        try:
            if isinstance(step, EventError):
                raise step
            if late:
                raise TimedOut("The batch took too long, this was not begun")
            return _told(step, await self._taking.take(step))
        except EventError as error:
            return error.ack()


def windows(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """In order; within one, nothing has a room or a user in common with anything else."""
    window: list[Step] = []
    taken: set[tuple[str, str]] = set()
    for step in steps:
        places = _places(step)
        shared = places & taken or (window and _EVERYBODY in (places, taken))
        if shared or len(window) >= SIDE_BY_SIDE:
            yield window
            window, taken = [], set()
        window.append(step)
        taken |= places
    yield window


def _checked(entry: BatchEntry) -> Step:
    try:
        return checked(entry.kind, entry.body)
    except EventError as error:
        return error


def _users(step: Step) -> int:
    return len(step.named_users or ()) if isinstance(step, NotifyRequest) else 0


def _places(step: Step) -> frozenset[tuple[str, str]]:
    match step:
        case MessageRequest(room=None):
            return frozenset({("user", step.to or ""), ("user", step.from_.id)})
        case MessageRequest():
            return frozenset({("room", step.room or "")})
        case NotifyRequest() if (users := step.named_users) is not None:
            return frozenset(("user", user) for user in users)
        case EmitRequest(rooms=rooms, users=users) if rooms or users:
            return frozenset([*(("room", room) for room in rooms or ()), *(("user", user) for user in users or ())])
        case EventError():
            return frozenset()
    return _EVERYBODY


def _told(request: Request, taken: IngestResult) -> dict[str, Any]:
    answer: Any
    if isinstance(request, MessageRequest):
        answer = message_answer(taken)
    elif isinstance(request, EmitRequest):
        answer = emit_answer(request, taken)
    else:
        answer = notify_answer(IngestResult(new=taken.new, scheduled=taken.scheduled, reached=taken.reached))
    told: dict[str, Any] = json.loads(json.dumps(answer))
    if taken.notified is not None:
        told["notifications"] = [
            {"user": user, "id": one.id, "seq": one.seq, "new": new} for user, one, new in taken.notified
        ]
    return told
