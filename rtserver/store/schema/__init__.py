"""The schema: every table as the code uses it. `migrations/` makes them; a test keeps the two the same.

1. `rooms.last_seq` and `inboxes.last_seq` are the only sources of sequence numbers. Whoever takes one holds that row
   until the end of its transaction; that is what makes them gapless.
2. Times are milliseconds since the epoch.
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
