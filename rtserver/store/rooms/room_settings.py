"""Room settings: access policy, read-only, slow mode and retention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.audit import AuditEntry, record
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import insert_into
from rtserver.store.schema import rooms

FIELDS = ("policy", "meta", "read_only", "slow_seconds", "keep_seconds", "keep_count")
"""The fields that can be changed."""
_COLUMNS = ("room", *FIELDS, "first_seq", "last_seq", "last_rev")


class RoomSettings(Struct, frozen=True, rename="camel"):
    """The settings and counters of a room. `policy` None: the default; a limit of None: unlimited.

    `first_seq`: number of the oldest message that is kept. `last_seq`: of the newest. `rev`: number of changes.
    """

    room: str
    policy: str | None = None
    meta: Any = None
    read_only: bool = False
    slow_seconds: int | None = None
    keep_seconds: int | None = None
    keep_count: int | None = None
    first_seq: int = 1
    last_seq: int = 0
    rev: int = 0


class RoomSettingsStore:
    """All methods raise `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, room: str) -> RoomSettings | None:
        """The settings of `room`; None where it does not exist."""
        async with self._db.reading() as connection:
            row = (await connection.execute(_selected(room))).first()
        return None if row is None else RoomSettings(*row)

    async def change(self, room: str, changes: Mapping[str, Any], by: str) -> tuple[RoomSettings, list[str]]:
        """Change some of `FIELDS`, with an audit entry; creates the room if needed.

        Returns the new settings and the names of the fields that changed.
        """
        async with self._db.transaction() as connection:
            known = (await connection.execute(_selected(room))).first() is not None
            await lock_or_make_room(connection, checked_key(room), now_ms())
            before = RoomSettings(*(await connection.execute(_selected(room))).one())
            changed = {name: value for name, value in changes.items() if getattr(before, name) != value}
            if changed or not known:  # a room that was made on purpose is named in the audit
                await record(connection, [AuditEntry(by, "room.configure", room, details=changed)])
            if not changed:
                return before, []
            await connection.execute(sa.update(rooms).where(rooms.c.room == room).values(changed))
            after = RoomSettings(*(await connection.execute(_selected(room))).one())
        return after, list(changed)


async def lock_or_make_room(connection: AsyncConnection, room: str, now: int) -> None:
    """Lock the row of a room, which is made where there is none. `now`: milliseconds."""
    making = insert_into(connection, rooms).values({"room": room, "last_seq": 0, "active_at": now})
    locking = making.on_conflict_do_update(index_elements=[rooms.c.room], set_={"last_seq": rooms.c.last_seq})
    await connection.execute(locking)


def _selected(room: str) -> sa.Select[Any]:
    return sa.select(*(rooms.c[name] for name in _COLUMNS)).where(rooms.c.room == checked_key(room))
