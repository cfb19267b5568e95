"""What each user wants to hear of, one row a user who has ever said so."""

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
"""Those of a thousand users are read at once when a thousand users are notified."""


class PreferenceStore:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, user: str) -> Preferences:
        async with self._db.reading() as connection:
            return (await preferences_of(connection, [checked_key(user)])).get(user, NO_PREFERENCES)

    async def change(self, user: str, change: Callable[[Preferences], Preferences]) -> Preferences:
        """Save what `change` makes of the current ones. What is notified from then on follows them."""
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
    """Those of `users` who have set any."""
    query = sa.select(preferences.c.user_id, preferences.c.value)
    query = query.where(among(connection, preferences.c.user_id, users))
    return {user: convert(value, Preferences) for user, value in await connection.execute(query)}
