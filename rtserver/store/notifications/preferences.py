"""Preferences: one row for each user that has set any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from msgspec import convert, to_builtins
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.errors import TooLarge
from rtserver.protocol import json
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among, insert_into
from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.notifications.records import NO_PREFERENCES, Preferences
from rtserver.store.schema.notifications import preferences

MAX_BYTES = 16_384
"""Limit for one user, as notifying a thousand users reads a thousand preferences at once."""


class PreferenceStore:
    """Reads and changes the preferences of one user. Raises `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, user: str) -> Preferences:
        """The preferences of `user`; empty ones where none are set."""
        async with self._db.reading() as connection:
            return (await preferences_of(connection, [checked_key(user)])).get(user, NO_PREFERENCES)

    async def change(self, user: str, change: Callable[[Preferences], Preferences]) -> Preferences:
        """Save the result of `change(current)` and return it. Later notifications follow it.

        Raises `TooLarge` beyond `MAX_BYTES` of JSON.
        """
        async with self._db.transaction() as connection:
            await lock_inboxes(connection, [checked_key(user)])
            found = await preferences_of(connection, [user])
            changed = change(found.get(user, NO_PREFERENCES))
            value = to_builtins(changed)
            if len(json.dumps(value)) > MAX_BYTES:
                raise TooLarge(f"Preferences take at most {MAX_BYTES} bytes", details={"limit": MAX_BYTES})
            statement = insert_into(connection, preferences).values(user_id=user, value=value, updated_at=now_ms())
            new = {"value": statement.excluded.value, "updated_at": statement.excluded.updated_at}
            await connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=new))
            return changed


async def preferences_of(connection: AsyncConnection, users: Sequence[str]) -> dict[str, Preferences]:
    """The preferences of those of `users` that have set any."""
    query = sa.select(preferences.c.user_id, preferences.c.value)
    query = query.where(among(connection, preferences.c.user_id, users))
    return {user: convert(value, Preferences) for user, value in await connection.execute(query)}
