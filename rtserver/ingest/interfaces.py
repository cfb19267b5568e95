"""What the doors need of the rest: those who carry things out, and the tables that make it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rtserver.ingest.commands import MessageRequest
from rtserver.store.ingest.idempotency import KeyedRequest, KnownKey
from rtserver.store.messages.records import Draft, Message
from rtserver.store.notifications.batches import NotificationBatch, Outcome
from rtserver.store.notifications.records import Delivered, NotificationDraft


class Notifier(Protocol):
    """Saves notifications, then pushes the new ones to their users' devices."""

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        """One each, in order; not new where the user's key was known. Raises `Unavailable` if they are not saved."""
        ...

    async def notify_batches(self, orders: list[NotificationBatch]) -> list[Outcome]:
        """What becomes of each, in order; an error is that of all of them, and none is saved."""
        ...


class MessagePoster(Protocol):
    """Saves chat messages, then broadcasts the new ones."""

    def draft_of(self, request: MessageRequest) -> Draft: ...

    async def post(self, drafts: Sequence[Draft]) -> list[tuple[Message, bool]]:
        """The message of each and whether it is new; not new where the author's nonce was known in that room."""
        ...


class EventEmitter(Protocol):
    """Broadcasts, cluster-wide. An empty `rooms` addresses everybody in the namespace."""

    def check(self, namespace: str) -> None:
        """Raises `NotFound` for a namespace that the server does not have."""
        ...

    async def emit(
        self,
        namespace: str,
        event: str,
        args: Sequence[Any],
        rooms: Sequence[str],
        except_: Sequence[str],
        volatile: bool,
    ) -> None: ...


class Audience(Protocol):
    async def page(self, room: str | None, after: str) -> list[str]:
        """The next users of a room, or of all, behind `after`, by id; none at the end."""
        ...


class Requests(Protocol):
    async def enter(self, asked: KeyedRequest) -> KnownKey: ...

    async def answer(self, kind: str, key: str, answer: Any) -> None: ...

    async def forget(self, kind: str, key: str) -> None: ...


class Schedule(Protocol):
    async def add(self, kind: str, body: Any, due_at: int, *, key: str | None, digest: str) -> tuple[str, str, bool]:
        """Id, due time, and whether it is new."""
        ...
