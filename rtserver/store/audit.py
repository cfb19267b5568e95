"""Who did what to a room, a member or a message: rows that are written with the change itself.

What identifies a person stands in `actor` and `target` only, never in `details`, so that a person can be forgotten.
Messages are the exception: `rtserver.store.messages.changes` keeps what was overwritten.
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
    actor: str
    action: str
    room: str | None = None
    target: str | None = None
    details: Any = None


async def record(connection: AsyncConnection, deeds: Iterable[AuditEntry]) -> None:
    """In the caller's transaction."""
    now = now_ms()
    rows = [{"id": _new_id(), "at": now, **deed._asdict()} for deed in deeds]
    if rows:
        await connection.execute(sa.insert(audit), rows)
