"""Member administration: adds and removes members on behalf of others, many at once, with audit entries."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.store.audit import AuditEntry, record
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among, insert_into
from rtserver.store.messages.records import Member
from rtserver.store.rooms.room_settings import lock_or_make_room
from rtserver.store.schema import members


class MemberAdmin:
    """`by`: the acting user, for the audit. All methods raise `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, room: str, added: Sequence[Member], by: str) -> list[str]:
        """Make users members and create the room if needed. Returns the ids of the new members, each once, sorted."""
        now = now_ms()
        unique = {checked_key(member.id): member for member in added}
        rows = [
            {"room": room, "user_id": id_, "name": member.name, "joined_at": now}
            for id_, member in sorted(unique.items())  # sorted, so that two calls cannot deadlock
        ]
        async with self._db.transaction() as connection:
            await lock_or_make_room(connection, checked_key(room), now)
            adding = insert_into(connection, members).values(rows).on_conflict_do_nothing()
            new = sorted((await connection.execute(adding.returning(members.c.user_id))).scalars())
            await record(connection, [AuditEntry(by, "member.add", room, user) for user in new])
        return new

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """End memberships. Returns the ids of those that were members, sorted."""
        async with self._db.transaction() as connection:
            theirs = among(connection, members.c.user_id, [checked_key(user) for user in users])
            removing = sa.delete(members).where(members.c.room == checked_key(room), theirs)
            removed = sorted((await connection.execute(removing.returning(members.c.user_id))).scalars())
            await record(connection, [AuditEntry(by, "member.remove", room, user) for user in removed])
        return removed

    async def rename(self, room: str, member: Member) -> bool:
        """Update the name of a member; False where the user is no member. A concurrent removal is not undone."""
        mine = sa.and_(members.c.room == checked_key(room), members.c.user_id == checked_key(member.id))
        async with self._db.reading() as connection:
            name = (await connection.execute(sa.select(members.c.name).where(mine))).scalar()
        if name is None or name == member.name:
            return name is not None
        async with self._db.transaction() as connection:
            done = await connection.execute(sa.update(members).where(mine).values(name=member.name))
        return done.rowcount > 0
