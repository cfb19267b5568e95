"""Erasure of a user from scheduled commands: cancelled, or addressed to the other users only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.protocol import json
from rtserver.store.db.dialects import among
from rtserver.store.schema.ingest import scheduled


async def erase_scheduled(connection: AsyncConnection, user: str, page: int = 200) -> int:
    """Remove `user` from all scheduled commands, `page` rows at a time; returns how many were removed or changed."""
    named = sa.type_coerce(scheduled.c.body, sa.Text).contains(json.dumps(user).decode(), autoescape=True)
    changed, after = 0, ""
    while True:
        query = sa.select(scheduled.c.id, scheduled.c.kind, scheduled.c.body).where(named, scheduled.c.id > after)
        rows = list(await connection.execute(query.order_by(scheduled.c.id).limit(page)))
        cancelled = []
        for row in rows:
            body = body_without(row.kind, row.body, user)
            if body is None:
                cancelled.append(row.id)
            elif body != row.body:
                await connection.execute(sa.update(scheduled).where(scheduled.c.id == row.id).values(body=body))
                changed += 1
        if cancelled:
            await connection.execute(sa.delete(scheduled).where(among(connection, scheduled.c.id, cancelled)))
        changed += len(cancelled)
        if len(rows) < page:
            return changed
        after = rows[-1].id


def body_without(kind: str, body: Any, user: str) -> Any:
    """The body without the user; None where nothing remains to be done, so that the command is cancelled."""
    if not isinstance(body, dict):
        return body
    sender = body.get("from")
    if user in (body.get("user"), body.get("to")) or (isinstance(sender, dict) and sender.get("id") == user):
        return None
    left: dict[str, Any] = {
        name: _without(body[name], user) for name in ("users", "mentions") if isinstance(body.get(name), list)
    }
    if left.get("users") == []:
        if kind != "emit" or not body.get("rooms"):
            return None  # without users and rooms the event would go to all clients
        left["users"] = None
    if left.get("mentions") == []:
        left["mentions"] = None
    return body | left


def _without(users: list[Any], user: str) -> list[Any]:
    return [one for one in users if one != user]
