"""Expiry of notifications and failed webhooks; on both databases."""

import asyncio

import pytest
import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.errors import InvalidPayload
from rtserver.store.db.database import Database
from rtserver.store.notifications.delivery_receipts import DeliveryReceipts
from rtserver.store.notifications.expiry import BATCH, KEEP_FAILED_MS, Expiry
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.records import NotificationDraft
from rtserver.store.schema.notifications import deliveries as delivery_rows
from rtserver.store.schema.notifications import grouped_keys, webhooks
from rtserver.store.schema.notifications import notifications as rows
from tests.store.conftest import OpenDatabase


async def count(db: Database, table: sa.Table) -> int:
    async with db.reading() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_expired_notifications_are_removed_in_batches_with_their_rows(
    db: Database, notifications: Notifications, deliveries: DeliveryReceipts
) -> None:
    later = now_ms() + 60_000
    old = [NotificationDraft(f"user{i % 50}", "t", "old", expires_at=1 + i) for i in range(BATCH + 20)]
    kept = [NotificationDraft("ann", "t", "for ever"), NotificationDraft("ann", "t", "for now", expires_at=later)]
    await notifications.add([*old, *kept])
    grouped = [NotificationDraft("bob", "t", str(i), key=f"k{i}", group_key="g", expires_at=5) for i in range(3)]
    last = (await notifications.add(grouped))[-1].notification
    await deliveries.record("bob", "phone", {last.id: None})
    assert (await count(db, grouped_keys), await count(db, delivery_rows)) == (2, 1)
    expiry = Expiry(db)
    assert await expiry.sweep() == BATCH
    assert await expiry.sweep() == 23 - 2
    assert await expiry.sweep() == 0
    assert (await count(db, rows), await count(db, grouped_keys), await count(db, delivery_rows)) == (2, 0, 0)


async def test_the_last_moment_of_the_calendar_means_never(notifications: Notifications) -> None:
    """Some backends send it for notifications without an end."""
    last = 253_402_300_799_999
    [kept] = await notifications.add([NotificationDraft("ann", "t", "kept", expires_at=last)])
    assert kept.notification.expires_at == "9999-12-31T23:59:59.999Z"
    with pytest.raises(InvalidPayload):
        await notifications.add([NotificationDraft("ann", "t", "no year has five digits", expires_at=last + 1)])
    [found], _ = await notifications.list("ann", before=None, limit=5)
    assert found.expires_at == kept.notification.expires_at


async def test_two_servers_can_sweep_at_once(open_database: OpenDatabase) -> None:
    servers = [await open_database() for _ in range(3)]
    await Notifications(servers[0]).add([NotificationDraft("ann", "t", "old", expires_at=1) for _ in range(300)])
    removed = await asyncio.gather(*(Expiry(server).sweep() for server in servers))
    assert sum(removed) == 300


async def test_failed_webhooks_are_kept_for_a_month(db: Database) -> None:
    row = {"user_id": "ann", "notification_id": "n", "body": {}, "created_at": 1, "due_at": 1, "attempts": 9}
    async with db.transaction() as connection:
        for id_, failed in (("old", now_ms() - KEEP_FAILED_MS - 1000), ("new", now_ms()), ("waits", None)):
            await connection.execute(sa.insert(webhooks).values(id=id_, failed_at=failed, **row))
    assert await Expiry(db).sweep() == 1
    assert await count(db, webhooks) == 2
