"""Schema: all tables as the code uses them. `migrations/` creates them; a test keeps the two equal.

1. `rooms.last_seq` and `inboxes.last_seq` are the only sources of sequence numbers. A transaction that takes a number
   locks the row until it ends, which makes the numbers gapless.
2. Times are milliseconds since the epoch.
3. The condition of a partial index holds in both databases. It is written as that of SQLite alone, because
   `postgresql_where` would load the dialect of Postgres, and only migrations create indexes.
"""

from rtserver.store.schema.chat import KEPT, audit, members, messages, reactions, receipts, rooms, uploads
from rtserver.store.schema.ingest import requests, scheduled
from rtserver.store.schema.metadata import metadata
from rtserver.store.schema.notifications import deliveries, grouped_keys, inboxes, notifications, preferences, webhooks

__all__ = [
    "KEPT",
    "audit",
    "deliveries",
    "grouped_keys",
    "inboxes",
    "members",
    "messages",
    "metadata",
    "notifications",
    "preferences",
    "reactions",
    "receipts",
    "requests",
    "rooms",
    "scheduled",
    "uploads",
    "webhooks",
]
