"""Intake: the one way in for requests of backends, whichever source they come from: execute once, or schedule.

1. Durable requests are executed at least once, under a natural idempotency key: the key of a notification, the nonce of
   a message. Executing them again, after a crash or on two servers at a time, changes nothing and finds the first
   result. The key of notifications that fit into one transaction is committed with them.
2. An emit leaves nothing behind that could be found again. An emit with a key, or from the schedule, enters its key
   before it is sent: at-most-once. An emit without a key enters nothing: a crash in between may repeat it.
3. The same key with another body is rejected, on whichever server it comes second. A rejected request leaves its key
   free.
4. `origin` is the key of a request that has none: the same entry of an inbox, the same scheduled item.

`submit` therefore has four cases, in this order:

    due in the future                           _schedule            saved with its key
    no key                                      _execute             under `origin`
    key, notifications of one transaction       _save_with_key       key and notifications are committed together
    key, any other                              _enter_then_execute  the key is entered first
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
from rtserver.ingest.interfaces import Audience, EventEmitter, IdempotencyKeys, MessagePoster, Schedule
from rtserver.protocol.conversion import convert
from rtserver.store.ingest.idempotency import KeyedRequest, KnownKey
from rtserver.store.messages.records import Message
from rtserver.store.notifications.batches import LARGEST, NotificationBatch
from rtserver.store.notifications.records import Delivered, Notification, NotificationDraft

FURTHEST_MS = 366 * 24 * 3600 * 1000
"""How far ahead a request may be scheduled."""


class IngestResult(msgspec.Struct, frozen=True):
    """The result of a request; only the fields of its kind are set. `new` is False where its key was known."""

    new: bool = True
    scheduled: tuple[str, str] | None = None
    """Id and due time (ISO 8601) of a scheduled request."""
    notified: list[tuple[str, Notification, bool]] | None = None
    """For each named user: the user, the notification, and whether it is new."""
    reached: int | None = None
    """The number of users of a room, or of all users."""
    message: Message | None = None


class Intake:
    """`clock` returns milliseconds since the epoch."""

    def __init__(
        self,
        *,
        notifier: NotificationBatcher,
        poster: MessagePoster,
        emitter: EventEmitter,
        audience: Audience,
        keys: IdempotencyKeys,
        schedule: Schedule,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._notifier, self._poster, self._emitter = notifier, poster, emitter
        self._audience, self._keys, self._schedule_store = audience, keys, schedule
        self._clock = clock
        self.on_scheduled: Callable[[int], None] = lambda due_at: None
        """Called with the due time of a request that was scheduled, in milliseconds since the epoch."""

    async def submit(self, request: Request, *, origin: str | None = None) -> IngestResult:
        """Execute the request, or schedule it until its `at`.

        Raises an `EventError`: `Conflict` for a key that is known with another body. After `Unavailable` the request
        may have been executed, so the caller submits it again.
        """
        due_at = None if request.at is None else moment_ms(request.at)
        if due_at is not None and due_at > self._clock():
            return await self._schedule(request, due_at, origin)
        if request.key is None:
            self._check(request)
            return await self._execute(request, origin)
        keyed = _keyed(request, request.key)
        self._check(request)
        if isinstance(request, NotifyRequest) and (users := _single_transaction_users(request)):
            return await self._save_with_key(request, users, keyed)
        return await self._enter_then_execute(request, keyed)

    async def execute(self, request: Request, *, origin: str | None) -> IngestResult:
        """Execute a scheduled request now, whatever its `at` says, under `origin` if it has no key."""
        self._check(request)
        if origin is not None and isinstance(request, EmitRequest):
            known = await self._keys.enter(_keyed(request, origin))
            if not known.new:
                return IngestResult(new=False)
        return await self._execute(request, request.key or origin)

    def _check(self, request: Request) -> None:
        """Raise what can be known before a key is entered."""
        if isinstance(request, EmitRequest):
            self._emitter.check(request.namespace)

    async def _schedule(self, request: Request, due_at: int, origin: str | None) -> IngestResult:
        if due_at > self._clock() + FURTHEST_MS:
            raise InvalidPayload("`at` is more than a year ahead")
        self._check(request)
        key = request.key or origin
        body, digest = msgspec.to_builtins(request), digest_of(request)
        id_, at, new = await self._schedule_store.add(kind_of(request), body, due_at, key=key, digest=digest)
        self.on_scheduled(due_at)
        return IngestResult(new=new, scheduled=(id_, at))

    async def _save_with_key(self, request: NotifyRequest, users: list[str], keyed: KeyedRequest) -> IngestResult:
        """Save all notifications and the key, or nothing."""
        saved = await self._notifier.notify_keyed(NotificationBatch(_drafts(request, users, keyed.key), keyed))
        return _replayed(saved.answer) if isinstance(saved, KnownKey) else _notified(users, saved)

    async def _enter_then_execute(self, request: Request, keyed: KeyedRequest) -> IngestResult:
        """Enter the key, execute, and save the answer where executing again could not find it.

        A known key without an answer is executed again: the earlier attempt may have been cut short.
        """
        known = await self._keys.enter(keyed)
        if not known.new and isinstance(known.answer, dict):
            return _replayed(known.answer)
        try:
            result = await self._execute(request, keyed.key)
        except EventError as error:
            if known.new and not error.retryable:
                await self._keys.forget(keyed.kind, keyed.key)
            raise
        if result.reached is None:
            return result
        await self._keys.answer(keyed.kind, keyed.key, {"reached": result.reached})
        return IngestResult(new=known.new, reached=result.reached)

    async def _execute(self, request: Request, key: str | None) -> IngestResult:
        if isinstance(request, NotifyRequest):
            return await self._notify(request, key)
        if isinstance(request, MessageRequest):
            return await self._post(request, key)
        await self._emitter.emit(request.target, request.event, request.arguments, request.volatile)
        return IngestResult()

    async def _notify(self, request: NotifyRequest, key: str | None) -> IngestResult:
        users = request.named_users
        if users is None:
            return IngestResult(reached=await self._notify_audience(request, key))
        return _notified(users, await self._notifier.notify(_drafts(request, users, key)))

    async def _notify_audience(self, request: NotifyRequest, key: str | None) -> int:
        """Notify the members of a room, or all users, page by page; return how many they are."""
        room = None if request.everyone else request.room
        reached, after = 0, ""
        while users := await self._audience.page(room, after):
            await self._notifier.notify(_drafts(request, users, key))
            reached, after = reached + len(users), users[-1]
        return reached

    async def _post(self, request: MessageRequest, key: str | None) -> IngestResult:
        draft = self._poster.draft_of(msgspec.structs.replace(request, key=key))
        [(message, new)] = await self._poster.post([draft])
        return IngestResult(new=new, message=message)


def checked(kind: str, body: Any) -> Request:
    """Convert a body to the request of that kind; raises `InvalidPayload` or `TooLarge`."""
    shape = SHAPES.get(kind)
    if shape is None:
        raise InvalidPayload(f"The kind must be one of {', '.join(SHAPES)}")
    try:
        request: Request = convert(body, shape)
        return request
    except msgspec.ValidationError as error:
        raise InvalidPayload(str(error)) from None


def kind_of(request: Request) -> str:
    """Return the kind under which `SHAPES` has it."""
    return next(kind for kind, shape in SHAPES.items() if isinstance(request, shape))


def digest_of(request: Request) -> str:
    """Return a digest of the body. The order of fields does not matter, and a missing field equals its default."""
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
    """Return the named users, if their notifications fit into one transaction."""
    users = request.named_users
    return users if users is not None and len(users) <= LARGEST else None


def _notified(users: list[str], delivered: list[Delivered]) -> IngestResult:
    each = [(user, one.notification, one.new) for user, one in zip(users, delivered, strict=True)]
    return IngestResult(new=any(new for _, _, new in each), notified=each)


def _keyed(request: Request, key: str) -> KeyedRequest:
    """Return the key as it is entered. Only that of an emit has its answer from the beginning (rule 2)."""
    answer: dict[str, Any] | None = {} if isinstance(request, EmitRequest) else None
    return KeyedRequest(kind_of(request), key, digest_of(request), answer)


def _replayed(answer: dict[str, Any]) -> IngestResult:
    """Return the result of the first time."""
    if "at" in answer:
        return IngestResult(new=False, scheduled=(str(answer["id"]), str(answer["at"])))
    return IngestResult(new=False, reached=answer.get("reached"))
