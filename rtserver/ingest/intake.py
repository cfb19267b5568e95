"""What every door does with what comes in: check it, carry it out once, or put it off until its time.

1. Durable things are carried out at least once, and under natural keys: a notification's key, a message's nonce. So
   doing them again, after a crash or by two servers at a time, changes nothing and finds the first ones. The key of
   notifications that are saved at once is entered with them.
2. An emit cannot be found again. One with a key, or from the schedule, is entered before it is sent: at most once. One
   without is not worth a row: a crash in between may repeat it.
3. A key with another body is refused, whoever comes first; what was refused itself leaves its key free.
4. `origin` is the key of what was given none: the same entry of an inbox, the same scheduled thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from rtserver.clock import now_ms
from rtserver.errors import EventError, InvalidPayload
from rtserver.ingest.batching import NotificationBatcher
from rtserver.ingest.commands import SHAPES, EmitRequest, MessageRequest, NotifyRequest, Request, moment_ms
from rtserver.ingest.interfaces import Audience, EventEmitter, MessagePoster, Requests, Schedule
from rtserver.store.ingest.idempotency import KeyedRequest, KnownKey
from rtserver.store.messages.records import Message
from rtserver.store.notifications.batches import LARGEST, NotificationBatch
from rtserver.store.notifications.records import Delivered, Notification, NotificationDraft

FURTHEST_MS = 366 * 24 * 3600 * 1000
"""How far ahead something may be put off."""


class IngestResult(msgspec.Struct, frozen=True):
    """What became of a request; only what fits its kind is there. `new` is False where its key was known."""

    new: bool = True
    scheduled: tuple[str, str] | None = None
    """Id and due time of what was put off."""
    notified: list[tuple[str, Notification, bool]] | None = None
    """Each named user's notification, and whether it is new."""
    reached: int | None = None
    """How many users a room, or everyone, was."""
    message: Message | None = None


class Intake:
    def __init__(
        self,
        *,
        notifying: NotificationBatcher,
        posting: MessagePoster,
        emitting: EventEmitter,
        audience: Audience,
        requests: Requests,
        schedule: Schedule,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._notifying, self._posting, self._emitting = notifying, posting, emitting
        self._audience, self._requests, self._schedule = audience, requests, schedule
        self._clock = clock
        self.on_scheduled: Callable[[int], None] = lambda due_at: None
        """Called with the due time of what was put off."""

    async def submit(self, kind: str, body: Any, *, origin: str | None = None) -> IngestResult:
        """As `take`, for what is not checked yet."""
        return await self.take(checked(kind, body), origin=origin)

    async def take(self, request: Request, *, origin: str | None = None) -> IngestResult:
        """Carry it out, or put it off; raises an `EventError`. After `Unavailable` it may be done: ask again."""
        due_at = None if request.at is None else moment_ms(request.at)
        if due_at is not None and due_at > self._clock():
            return await self._put_off(request, due_at, origin)
        if request.key is None:
            self._check(request)
            return await self._do(request, origin)
        asked = KeyedRequest(kind_of(request), request.key, digest_of(request), {} if _is_live(request) else None)
        self._check(request)
        if isinstance(request, NotifyRequest) and (users := _single_transaction_users(request)):
            return await self._notify_asked(request, users, asked)
        known = await self._requests.enter(asked)
        if not known.new and isinstance(known.answer, dict):
            return _replayed(known.answer)
        try:
            taken = await self._do(request, request.key)
        except EventError as error:
            if known.new and not error.retryable:
                await self._requests.forget(asked.kind, asked.key)
            raise
        if taken.reached is not None:
            await self._requests.answer(asked.kind, asked.key, {"reached": taken.reached})
            return IngestResult(new=known.new, reached=taken.reached)
        return taken

    async def execute(self, request: Request, *, origin: str | None) -> IngestResult:
        """At once, whatever its `at` says, under `origin` if it has no key; for what was entered before."""
        self._check(request)
        if origin is not None and isinstance(request, EmitRequest):
            known = await self._requests.enter(KeyedRequest("emit", origin, digest_of(request), {}))
            if not known.new:
                return IngestResult(new=False)
        return await self._do(request, request.key or origin)

    def _check(self, request: Request) -> None:
        """What can be refused before anything is entered."""
        if isinstance(request, EmitRequest):
            self._emitting.check(request.namespace)

    async def _put_off(self, request: Request, due_at: int, origin: str | None) -> IngestResult:
        if due_at > self._clock() + FURTHEST_MS:
            raise InvalidPayload("`at` is more than a year ahead")
        self._check(request)
        key = request.key or origin
        body, digest = msgspec.to_builtins(request), digest_of(request)
        id_, at, new = await self._schedule.add(kind_of(request), body, due_at, key=key, digest=digest)
        self.on_scheduled(due_at)
        return IngestResult(new=new, scheduled=(id_, at))

    async def _do(self, request: Request, key: str | None) -> IngestResult:
        if isinstance(request, NotifyRequest):
            return await self._notify(request, key)
        if isinstance(request, MessageRequest):
            return await self._post(request, key)
        await self._emitting.emit(
            request.namespace,
            request.event,
            request.arguments,
            request.addressed,
            request.except_ or (),
            request.volatile,
        )
        return IngestResult()

    async def _notify(self, request: NotifyRequest, key: str | None) -> IngestResult:
        users = request.named_users
        if users is None:
            return IngestResult(reached=await self._notify_all(request, key))
        return _notified(users, await self._notifying.notify(_drafts(request, users, key)))

    async def _notify_asked(self, request: NotifyRequest, users: list[str], asked: KeyedRequest) -> IngestResult:
        """All of them or none, and the key with them."""
        told = await self._notifying.notify_keyed(NotificationBatch(_drafts(request, users, asked.key), asked))
        return _replayed(told.answer) if isinstance(told, KnownKey) else _notified(users, told)

    async def _notify_all(self, request: NotifyRequest, key: str | None) -> int:
        room = None if request.everyone else request.room
        reached, after = 0, ""
        while users := await self._audience.page(room, after):
            await self._notifying.notify(_drafts(request, users, key))
            reached, after = reached + len(users), users[-1]
        return reached

    async def _post(self, request: MessageRequest, key: str | None) -> IngestResult:
        draft = self._posting.draft_of(msgspec.structs.replace(request, key=key))
        [(message, new)] = await self._posting.post([draft])
        return IngestResult(new=new, message=message)


def checked(kind: str, body: Any) -> Request:
    """A body as a request of that kind; raises `InvalidPayload` or `TooLarge`."""
    shape = SHAPES.get(kind)
    if shape is None:
        raise InvalidPayload(f"The kind must be one of {', '.join(SHAPES)}")
    try:
        return msgspec.convert(body, shape, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidPayload(str(error)) from None


def kind_of(request: Request) -> str:
    return next(kind for kind, shape in SHAPES.items() if isinstance(request, shape))


def digest_of(request: Request) -> str:
    """The same for the same body, however its fields are ordered; what is left out is as its default."""
    try:
        return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"The body cannot be kept as JSON: {error}") from None


def _drafts(request: NotifyRequest, users: list[str], key: str | None) -> list[NotificationDraft]:
    expires = None if request.expires_at is None else moment_ms(request.expires_at)
    return [
        NotificationDraft(
            user=user, type=request.type, message=request.message, data=request.data, key=key,
            group_key=request.group_key, room=request.room, expires_at=expires,
        )
        for user in users
    ]  # fmt: skip


def _single_transaction_users(request: NotifyRequest) -> list[str] | None:
    """Its users, where they are named and saved in one transaction."""
    users = request.named_users
    return users if users is not None and len(users) <= LARGEST else None


def _notified(users: list[str], told: list[Delivered]) -> IngestResult:
    each = [(user, one.notification, one.new) for user, one in zip(users, told, strict=True)]
    return IngestResult(new=any(new for _, _, new in each), notified=each)


def _is_live(request: Request) -> bool:
    return isinstance(request, EmitRequest)


def _replayed(answer: dict[str, Any]) -> IngestResult:
    """What was said the first time."""
    if "at" in answer:
        return IngestResult(new=False, scheduled=(str(answer["id"]), str(answer["at"])))
    return IngestResult(new=False, reached=answer.get("reached"))
