"""Fixtures: ingest on real stores; pushes and broadcasts are recorded."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from rtserver.errors import NotFound, Unavailable
from rtserver.ingest.batching import NotificationBatcher
from rtserver.ingest.commands import EmitTarget, MessageRequest
from rtserver.ingest.intake import IngestResult, Intake, checked
from rtserver.store.db.database import Database
from rtserver.store.ingest.idempotency import IdempotencyKeys
from rtserver.store.ingest.schedule import Schedule
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Message
from rtserver.store.notifications.batches import NotificationBatch, Outcome
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.records import Delivered, NotificationDraft
from rtserver.store.rooms.audience import Audience
from tests.cluster.conftest import bus, redis_client  # noqa: F401  fixtures
from tests.store.conftest import database_url, db, one_postgres, open_database

__all__ = ["database_url", "db", "one_postgres", "open_database"]

NOW = 1_795_359_845_123


@dataclass
class Backstage:
    """The intake of one server and what is behind it. `down`: nothing can be saved."""

    db: Database
    now: int = NOW
    down: bool = False
    pushed: list[str] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    emitted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.notifications, self.messages = Notifications(self.db), Messages(self.db)
        self.grouped = NotificationBatcher(self)
        self.requests = IdempotencyKeys(self.db, clock=lambda: self.now)
        self.schedule = Schedule(self.db, clock=lambda: self.now)
        self.intake = Intake(
            notifier=self.grouped, poster=self, emitter=self, audience=Audience(self.db),
            keys=self.requests, schedule=self.schedule, clock=lambda: self.now,
        )  # fmt: skip

    async def submit(self, kind: str, body: Any, *, origin: str | None = None) -> IngestResult:
        """Check and submit a request, as every source does."""
        return await self.intake.submit(checked(kind, body), origin=origin)

    async def start(self) -> None:
        await self.messages.start()
        await self.requests.start()
        await self.grouped.start()

    async def stop(self) -> None:
        await self.grouped.stop()
        await self.requests.stop()
        await self.messages.stop()

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        if self.down:
            raise Unavailable
        told = await self.notifications.add(drafts)
        self._push(drafts, told)
        return told

    async def notify_batches(self, orders: list[NotificationBatch]) -> list[Outcome]:
        if self.down:
            raise Unavailable
        outcomes = await self.notifications.save_batches(orders)
        for order, told in zip(orders, outcomes, strict=True):
            if isinstance(told, list):
                self._push(order.drafts, told)
        return outcomes

    def _push(self, drafts: list[NotificationDraft], told: list[Delivered]) -> None:
        self.pushed += [f"{draft.user}:{draft.message}" for draft, one in zip(drafts, told, strict=True) if one.new]

    def draft_of(self, request: MessageRequest) -> Draft:
        return Draft(request.room or "", Author(request.from_.id, "x"), request.text, nonce=request.key)

    async def post(self, drafts: Sequence[Draft]) -> list[tuple[Message, bool]]:
        if self.down:
            raise Unavailable
        told = [await self.messages.append(draft) for draft in drafts]
        self.posted += [message.text for message, new in told if new]
        return told

    def check(self, namespace: str) -> None:
        if namespace != "/chat":
            raise NotFound(f"There is no namespace {namespace}")

    async def emit(self, target: EmitTarget, event: str, *_: Any) -> None:
        self.emitted.append(event)


@pytest.fixture
async def servers(open_database: Any) -> AsyncIterator[list[Backstage]]:
    """Two servers on one database."""
    both = [Backstage(await open_database()) for _ in range(2)]
    for one in both:
        await one.start()
    yield both
    for one in both:
        await one.stop()


@pytest.fixture
def server(servers: list[Backstage]) -> Backstage:
    return servers[0]
