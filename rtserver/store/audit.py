"""Audit log: changes of rooms, members and messages, written in the transaction of the change.

User ids stand in `actor` and `target` only, never in `details`, so that a user can be erased. Messages are the
exception: `rtserver.store.messages.changes` keeps the overwritten content, and erasure removes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.ids import Ids
from rtserver.store.schema import audit

_new_id = Ids()


class AuditEntry(NamedTuple):
    """`actor` did `action` (such as `room.configure`) to `target` in `room`. `details`: any JSON value."""

    actor: str
    action: str
    room: str | None = None
    target: str | None = None
    details: Any = None


async def record(connection: AsyncConnection, entries: Iterable[AuditEntry]) -> None:
    """Insert the entries in the caller's transaction."""
    now = now_ms()
    rows = [{"id": _new_id(), "at": now, **entry._asdict()} for entry in entries]
    if rows:
        await connection.execute(sa.insert(audit), rows)
