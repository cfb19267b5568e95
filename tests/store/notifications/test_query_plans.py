"""Query plans: the cost of an inbox does not depend on the number of other inboxes; on both databases."""

from typing import Any

import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.notifications.delivery_receipts import DeliveryReceipts
from rtserver.store.notifications.expiry import Expiry
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.notifications.records import NotificationDraft, Preferences
from rtserver.store.notifications.webhook_queue import Settled, WebhookQueue
from rtserver.store.rooms.audience import Audience

TABLES = ("notifications", "inboxes", "deliveries", "grouped_keys", "preferences", "webhooks")
READS = ("SELECT", "UPDATE", "DELETE", "WITH")


async def test_every_statement_finds_its_rows_by_an_index(
    db: Database, deliveries: DeliveryReceipts, preference_store: PreferenceStore
) -> None:
    said: dict[str, Any] = {}

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if statement.lstrip().startswith(READS):
            said[statement] = parameters[0] if many else parameters

    engines = {db._engines.writer.sync_engine, db._engines.reader.sync_engine}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    inbox, queue = Notifications(db, webhook_delay=0), WebhookQueue(db)
    for number in range(3):
        body = NotificationDraft("ann", "t", "hi", None, f"k{number}", "group", expires_at=None)
        [one] = await inbox.add([body])
        await deliveries.record("ann", "phone", {one.notification.id: None})
        await deliveries.record("ann", "phone", {one.notification.id: one.notification.seq})
    await inbox.add([NotificationDraft("ann", "t", "old", expires_at=1)])
    await preference_store.change("ann", lambda _: Preferences(("ads",)))
    await preference_store.get("ann")
    await inbox.list("ann", before=5, limit=5, unread=True, type="t")
    await inbox.list("ann")
    await inbox.counts("ann")
    await inbox.still_unread(one.notification.id)
    await inbox.find(one.notification.id)
    await inbox.mark_seen("ann", None, 2)
    await inbox.mark_seen("ann", [one.notification.id])
    await inbox.mark_read("ann", [one.notification.id])
    claimed = await queue.claim(10, 0)
    assert claimed
    await queue.settle([Settled(claimed[0], 0, "no"), *map(Settled, claimed[1:])])
    assert await Expiry(db).sweep()
    await inbox.delete("ann", [one.notification.id])
    await inbox.open_inbox("ann")
    await Audience(db).page(None, "a")
    await Audience(db).page("room", "a")
    for engine in engines:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert len(said) > 20
    async with db.reading() as connection:
        lite = connection.dialect.name == "sqlite"
        if not lite:
            await connection.exec_driver_sql("SET enable_seqscan = off")  # an empty table is scanned otherwise
        for statement, parameters in said.items():
            explain = "EXPLAIN QUERY PLAN" if lite else "EXPLAIN"
            rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plan = "\n".join(str(row) for row in rows)
            for table in TABLES:
                for scan in (f"SCAN {table}", f"Seq Scan on {table} "):
                    assert scan not in plan, f"{statement}\n{plan}"
        if not lite:
            await connection.exec_driver_sql("RESET enable_seqscan")
