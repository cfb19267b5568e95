"""Interfaces that ingest needs: what executes requests, and the tables that make them happen once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rtserver.ingest.commands import EmitTarget, MessageRequest
from rtserver.store.ingest.idempotency import KeyedRequest, KnownKey
from rtserver.store.messages.records import Draft, Message
from rtserver.store.notifications.batches import NotificationBatch, Outcome
from rtserver.store.notifications.records import Delivered, NotificationDraft


class Notifier(Protocol):
    """Saves notifications, then pushes the new ones to their users' devices."""

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        """Return one notification per draft, in order; not new where the user's key was known.

        Raises `Unavailable` if none is saved.
        """
        ...

    async def notify_batches(self, batches: list[NotificationBatch]) -> list[Outcome]:
        """Return the outcome of each batch, in order. An exception concerns all of them, and none is saved."""
        ...


class MessagePoster(Protocol):
    """Saves chat messages, then broadcasts the new ones."""

    def draft_of(self, request: MessageRequest) -> Draft: ...

    async def post(self, drafts: Sequence[Draft]) -> list[tuple[Message, bool]]:
        """Return each message and whether it is new; not new where the author's nonce was known in that room."""
        ...


class EventEmitter(Protocol):
    """Broadcasts events, cluster-wide."""

    def check(self, namespace: str) -> None:
        """Raise `NotFound` for a namespace that the server does not have."""
        ...

    async def emit(self, target: EmitTarget, event: str, args: Sequence[Any], volatile: bool) -> None:
        """Broadcast an event; raises `NotFound` as `check` does."""
        ...


class Audience(Protocol):
    """The users of a room, or all users."""

    async def page(self, room: str | None, after: str) -> list[str]:
        """Return the next users of a room (None: of the server) behind `after`, by id; an empty list at the end."""
        ...


class IdempotencyKeys(Protocol):
    """Idempotency keys."""

    async def enter(self, request: KeyedRequest) -> KnownKey:
        """Enter a key, or return what is known of it; raises `Conflict` where it is known with another body."""
        ...

    async def answer(self, kind: str, key: str, answer: Any) -> None:
        """Save the answer for the next request with this key."""
        ...

    async def forget(self, kind: str, key: str) -> None:
        """Free the key."""
        ...


class Schedule(Protocol):
    """Requests that are due later."""

    async def add(self, kind: str, body: Any, due_at: int, *, key: str | None, digest: str) -> tuple[str, str, bool]:
        """Return id, due time (ISO 8601), and whether it is new; `due_at` is in milliseconds since the epoch."""
        ...
