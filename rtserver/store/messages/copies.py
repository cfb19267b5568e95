"""Copies of messages: former texts in the audit, and the notifications of mentions, which quote a message.

What removes messages for good removes their copies in the same transaction: retention, and the erasure of an author. A
deleted message keeps its former texts in the audit, for those who moderate, until one of the two removes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.db.dialects import among
from rtserver.store.notifications.removal import remove_mentions
from rtserver.store.schema import audit

PAGE = 500
"""Former texts read at once."""


async def remove_copies(
    connection: AsyncConnection, found: Iterable[tuple[str, Sequence[str] | None]]
) -> list[tuple[str, str]]:
    """Remove the copies of messages, given as (id, mentioned users) of each. The caller holds the locks of their rooms.

    Returns the removed notifications as (user, notification id) pairs. Call it once per transaction, as
    `remove_mentions`.
    """
    mentioned = {id_: set(users or ()) for id_, users in found}
    if not mentioned:
        return []
    theirs = among(connection, audit.c.target, mentioned)
    await _add_former_mentions(connection, theirs, mentioned)
    former_texts = sa.and_(theirs, audit.c.details.is_not(None))
    await connection.execute(sa.update(audit).where(former_texts).values(details=sa.null()))
    removed = await remove_mentions(connection, [(user, id_) for id_, users in mentioned.items() for user in users])
    return [pair for pairs in removed.values() for pair in pairs]


async def _add_former_mentions(
    connection: AsyncConnection, theirs: sa.ColumnElement[bool], mentioned: dict[str, set[str]]
) -> None:
    """Users whom a former text mentioned were notified too. Read in pages, as a message may have many former texts."""
    naming = sa.type_coerce(audit.c.details, sa.Text).contains('"mentions"')
    query = sa.select(audit.c.id, audit.c.target, audit.c.details).where(theirs, naming)
    after = ""
    while True:
        page = query.where(audit.c.id > after).order_by(audit.c.id).limit(PAGE)
        rows = (await connection.execute(page)).all()
        for _, target, details in rows:
            if isinstance(details, dict):
                mentioned[target].update(details.get("mentions") or ())
        if len(rows) < PAGE:
            return
        after = rows[-1].id
