"""Inbox rows: the last number of each inbox, and the lock that every change of the inbox holds until its commit."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.db.dialects import insert_into
from rtserver.store.schema.notifications import inboxes


async def lock_inboxes(connection: AsyncConnection, users: Sequence[str]) -> dict[str, int]:
    """Create missing inboxes, lock all, and return the last number of each. `users` must be sorted (deadlocks)."""
    statement = insert_into(connection, inboxes)
    locking = statement.on_conflict_do_update(
        index_elements=[inboxes.c.user_id], set_={"last_seq": inboxes.c.last_seq}
    ).returning(inboxes.c.user_id, inboxes.c.last_seq)
    rows = await connection.execute(locking, [{"user_id": user, "last_seq": 0} for user in users])
    return {row.user_id: row.last_seq for row in rows}


async def advance_inboxes(connection: AsyncConnection, last_seqs: dict[str, int]) -> None:
    """Save the last numbers of locked inboxes."""
    statement = (
        sa.update(inboxes).where(inboxes.c.user_id == sa.bindparam("user")).values(last_seq=sa.bindparam("last"))
    )
    await connection.execute(statement, [{"user": user, "last": last} for user, last in last_seqs.items()])
