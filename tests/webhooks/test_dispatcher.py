"""The queue of webhooks and who empties it; on both databases, with a real receiver."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.errors import Unavailable
from rtserver.store.db.database import Database
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.notifications.quiet_hours import QuietHours
from rtserver.store.notifications.records import NotificationDraft, Preferences
from rtserver.store.notifications.webhook_queue import WebhookQueue
from rtserver.store.schema.notifications import webhooks
from rtserver.telemetry.metrics import Metrics
from rtserver.webhooks import dispatcher as module
from rtserver.webhooks.dispatcher import ATTEMPTS, Dispatcher
from rtserver.webhooks.sender import Sender
from tests.store.conftest import OpenDatabase
from tests.webhooks.conftest import Receiver


class Server:
    """What one server has of it."""

    def __init__(self, db: Database, url: str) -> None:
        self.inbox = Notifications(db, webhook_delay=0)
        self.queue = WebhookQueue(db)
        self.online: set[str] | None = set()
        self.metrics = Metrics()
        self.sender = Sender(url, [b"k" * 32], timeout=5)
        self.dispatcher = Dispatcher(self.queue, self.sender, self._online, self.metrics)
        self._db = db

    async def _online(self, users: Sequence[str]) -> Collection[str] | None:
        return self.online

    async def notify(self, *users: str, group: str | None = None, message: str = "hi") -> list[str]:
        drafts = [NotificationDraft(user, "order", message, group_key=group) for user in users]
        return [one.notification.id for one in await self.inbox.add(drafts)]

    async def rows(self) -> list[sa.Row[tuple[object, ...]]]:
        async with self._db.reading() as connection:
            return list(await connection.execute(sa.select(webhooks).order_by(webhooks.c.id)))

    async def all_due(self) -> None:
        """As if the pauses were over."""
        async with self._db.transaction() as connection:
            await connection.execute(sa.update(webhooks).values(due_at=0))


@pytest.fixture
async def server(db: Database, receiver: Receiver) -> AsyncIterator[Server]:
    server = Server(db, receiver.url)
    await server.sender.start()
    yield server
    await server.sender.stop()


async def test_who_is_offline_is_told_to_the_backend_once(server: Server, receiver: Receiver) -> None:
    [id_] = await server.notify("ann")
    assert await server.dispatcher.deliver_due()
    assert not await server.dispatcher.deliver_due()
    [received] = receiver.received
    told = json.loads(received.body)
    assert (told["type"], told["data"]["user"]) == ("notification.created", "ann")
    assert (told["data"]["notification"]["id"], told["data"]["notification"]["message"]) == (id_, "hi")
    assert await server.rows() == []
    assert server.metrics.webhooks == {"delivered": 1}


async def test_who_is_online_or_has_read_it_is_not(server: Server, receiver: Receiver) -> None:
    server.online = {"ann"}
    await server.notify("ann")
    [read] = await server.notify("bob")
    await server.inbox.mark_read("bob", [read])
    [gone] = await server.notify("cat")
    await server.inbox.delete("cat", [gone])
    await server.dispatcher.deliver_due()
    assert receiver.received == []
    assert await server.rows() == []
    assert server.metrics.webhooks == {"online": 1, "read": 2}


async def test_while_nobody_knows_who_is_online_it_waits(server: Server, receiver: Receiver) -> None:
    server.online = None
    await server.notify("ann")
    await server.dispatcher.deliver_due()
    [row] = await server.rows()
    assert (row.attempts, row.failed_at, row.error) == (0, None, None)
    assert row.due_at > now_ms()
    server.online = set()
    await server.all_due()
    await server.dispatcher.deliver_due()
    assert len(receiver.received) == 1


async def test_without_a_receiver_nothing_is_queued(db: Database, server: Server) -> None:
    await Notifications(db).add([NotificationDraft("ann", "order", "hi")])
    assert await server.rows() == []


async def test_a_failure_is_tried_again_later_and_later_with_the_same_id(server: Server, receiver: Receiver) -> None:
    receiver.says(503)
    await server.notify("ann")
    pauses: list[float] = []
    for attempt in range(1, ATTEMPTS):
        before = now_ms()
        assert await server.dispatcher.deliver_due()
        [row] = await server.rows()
        assert (row.attempts, row.error) == (attempt, "The receiver answered 503")
        pauses.append((row.due_at - before) / 1000)
        assert not await server.dispatcher.deliver_due(), "it is not due"
        await server.all_due()
    assert 4 <= pauses[0] <= 7
    assert 12 <= pauses[1] <= 19
    assert max(pauses) <= 5 * 3600
    assert 0.75 * 86_400 <= sum(pauses) <= 1.3 * 86_400
    assert await server.dispatcher.deliver_due()
    [row] = await server.rows()
    assert row.failed_at is not None
    await server.all_due()
    assert not await server.dispatcher.deliver_due(), "it is parked"
    assert len({received.id for received in receiver.received}) == 1
    assert len(receiver.received) == ATTEMPTS
    assert server.metrics.webhooks == {"failed": ATTEMPTS - 1, "parked": 1}
    assert (await server.queue.state()) == (0, None, 1)


async def test_two_servers_and_one_webhook(open_database: OpenDatabase, receiver: Receiver) -> None:
    servers = [Server(await open_database(), receiver.url) for _ in range(2)]
    for server in servers:
        await server.sender.start()
    users = [f"user{i}" for i in range(200)]
    await servers[0].notify(*users)

    async def work(server: Server) -> None:
        while await server.dispatcher.deliver_due():
            pass

    await asyncio.gather(*map(work, servers))
    assert sorted(json.loads(received.body)["data"]["user"] for received in receiver.received) == sorted(users)
    assert len({received.id for received in receiver.received}) == 200
    assert await servers[0].rows() == []
    for server in servers:
        await server.sender.stop()


async def test_what_a_dead_server_had_is_delivered_by_another(
    server: Server, receiver: Receiver, open_database: OpenDatabase
) -> None:
    await server.notify("ann")
    [claimed] = await server.queue.claim(10, 60_000)
    assert claimed.attempts == 1
    assert not await server.dispatcher.deliver_due(), "somebody has it"
    await server.all_due()
    assert await server.dispatcher.deliver_due()
    assert len(receiver.received) == 1
    await server.queue.settle([module.Settled(claimed, due_at=1, error="late")])
    assert await server.rows() == []


async def test_a_group_that_grows_is_told_once_as_it_is(server: Server, receiver: Receiver) -> None:
    for number in range(1, 6):
        await server.notify("ann", group="post", message=f"{number} replies")
    [row] = await server.rows()
    first_due = row.due_at
    await server.notify("ann", group="post", message="6 replies")
    assert (await server.rows())[0].due_at == first_due
    await server.dispatcher.deliver_due()
    [received] = receiver.received
    told = json.loads(received.body)["data"]["notification"]
    assert (told["message"], told["count"]) == ("6 replies", 6)
    receiver.says(500)
    await server.notify("ann", group="post", message="7 replies")
    await server.dispatcher.deliver_due()
    await server.notify("ann", group="post", message="8 replies")
    assert len(await server.rows()) == 2, "one was tried, and keeps its id and body"


async def test_quiet_hours_put_it_off_and_muting_forbids_it(
    server: Server, preference_store: PreferenceStore, receiver: Receiver
) -> None:
    now = datetime.now(UTC)
    begin, end = (now + timedelta(hours=hours) for hours in (-1, 2))
    hours = QuietHours(begin.strftime("%H:%M"), end.strftime("%H:%M"), "UTC")
    await preference_store.change("ann", lambda _: Preferences(quiet_hours=hours))
    await preference_store.change("bob", lambda _: Preferences(muted_types=("order",)))
    await server.notify("ann", "bob")
    assert not await server.dispatcher.deliver_due()
    [row] = await server.rows()
    assert row.user_id == "ann"
    assert abs(row.due_at - end.replace(second=0, microsecond=0).timestamp() * 1000) < 1000


async def test_a_running_dispatcher_outlives_trouble(
    server: Server, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "UNKNOWN_PAUSE", 0.01)
    claim, troubles = server.queue.claim, [Unavailable(), RuntimeError("a bug")]

    async def troubled(limit: int, lease: int) -> object:
        if troubles:
            raise troubles.pop()
        return await claim(limit, lease)

    monkeypatch.setattr(server.queue, "claim", troubled)
    await server.dispatcher.start()
    await server.notify("ann")
    await receiver.until(1)
    await server.dispatcher.stop()
    assert not troubles
    page = server.metrics.exposition().decode()
    assert "rtserver_webhooks_waiting" in page
    assert "rtserver_webhooks_oldest_seconds" in page
