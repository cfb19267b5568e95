"""Batches over HTTP: `POST /api/batch`, many requests in one, each with a result of its own.

Entries that share a room or a user are executed one after the other, as given; the others run concurrently, so that
the database commits many at once.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from msgspec import Meta, Struct

from rtserver.errors import EventError, TimedOut, TooLarge
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse
from rtserver.http.endpoints.publish import CommandIntake, emit_answer, message_answer, notify_answer
from rtserver.ingest.commands import EmitRequest, MessageRequest, NotifyRequest, Request
from rtserver.ingest.intake import IngestResult, checked
from rtserver.ingest.ordering import NOTHING, OrderingKeys, ordering_keys, windows
from rtserver.protocol import json

MAX_ENTRIES = 1000
MAX_USERS = 10_000
"""Users named in all notifications of a batch together: the response lists each."""
CONCURRENCY = 100
BATCH_SECONDS = 25.0
"""Seconds after which no further entry is begun: a slow database delays the response no longer than that."""

Step = Request | EventError
"""A valid entry, or why it is rejected."""


class BatchEntry(Struct, forbid_unknown_fields=True):
    """As in the durable inbox: `kind` is `notification`, `message` or `emit`, `body` the body of that operation."""

    kind: str
    body: Any


class BatchBody(Struct, forbid_unknown_fields=True):
    entries: Annotated[list[BatchEntry], Meta(min_length=1, max_length=MAX_ENTRIES)]


class BatchAnswer(OkResponse, kw_only=True, rename="camel"):
    """One result per entry, in order: the body that the entry's own operation would return, errors included. Of
    notifications only `user`, `id`, `seq` and `new`."""

    results: list[dict[str, Any]]


class BatchApi:
    def __init__(self, intake: CommandIntake, *, seconds: float = BATCH_SECONDS) -> None:
        self._intake = intake
        self._seconds = seconds

    @operation("POST", "/api/batch", summary="Submit many requests at once", tag="batch")
    async def batch(self, body: BatchBody) -> BatchAnswer:
        """The status is 200 even if entries fail: check each result. Entries with a `key` can be repeated safely."""
        steps = [_checked(entry) for entry in body.entries]
        if sum(map(_users, steps)) > MAX_USERS:
            raise TooLarge(f"A batch names {MAX_USERS} users at most")
        deadline = asyncio.get_running_loop().time() + self._seconds
        results: list[dict[str, Any]] = []
        for window in windows(steps, _ordering_keys, CONCURRENCY):
            late = asyncio.get_running_loop().time() > deadline
            results += await asyncio.gather(*(self._result(step, late) for step in window))
        return BatchAnswer(results=results)

    async def _result(self, step: Step, late: bool) -> dict[str, Any]:
        try:
            if isinstance(step, EventError):
                raise step
            if late:
                raise TimedOut("The batch took too long; this entry was not begun")
            return _answer(step, await self._intake.submit(step))
        except EventError as error:
            return error.ack()


def _checked(entry: BatchEntry) -> Step:
    try:
        return checked(entry.kind, entry.body)
    except EventError as error:
        return error


def _users(step: Step) -> int:
    return len(step.named_users or ()) if isinstance(step, NotifyRequest) else 0


def _ordering_keys(step: Step) -> OrderingKeys:
    return NOTHING if isinstance(step, EventError) else ordering_keys(step)


def _answer(request: Request, result: IngestResult) -> dict[str, Any]:
    answer: Any
    if isinstance(request, MessageRequest):
        answer = message_answer(result)
    elif isinstance(request, EmitRequest):
        answer = emit_answer(request, result)
    else:
        answer = notify_answer(IngestResult(new=result.new, scheduled=result.scheduled, reached=result.reached))
    body: dict[str, Any] = json.loads(json.dumps(answer))
    if result.notified is not None:
        body["notifications"] = [
            {"user": user, "id": one.id, "seq": one.seq, "new": new} for user, one, new in result.notified
        ]
    return body
