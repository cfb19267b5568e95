"""Members that others put into rooms and take out of them, many at once; the audit says who did."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.store.audit import AuditEntry, record
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among, insert_into
from rtserver.store.messages.records import Member
from rtserver.store.schema import members, rooms


class MemberAdmin:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, room: str, added: Sequence[Member], by: str) -> list[str]:
        """Make them members, and the room where there is none. The ids of those that were not, each once, sorted."""
        now = now_ms()
        unique = {checked_key(member.id): member for member in added}
        rows = [
            {"room": room, "user_id": id_, "name": member.name, "joined_at": now}
            for id_, member in sorted(unique.items())  # always in one order: two of these do not block each other
        ]
        async with self._db.transaction() as connection:
            row = {"room": checked_key(room), "last_seq": 0, "active_at": now}
            await connection.execute(insert_into(connection, rooms).values(row).on_conflict_do_nothing())
            adding = insert_into(connection, members).values(rows).on_conflict_do_nothing()
            new = sorted((await connection.execute(adding.returning(members.c.user_id))).scalars())
            await record(connection, [AuditEntry(by, "member.add", room, user) for user in new])
        return new

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """End their memberships. The ids of those that were members, sorted."""
        async with self._db.transaction() as connection:
            theirs = among(connection, members.c.user_id, [checked_key(user) for user in users])
            removing = sa.delete(members).where(members.c.room == checked_key(room), theirs)
            gone = sorted((await connection.execute(removing.returning(members.c.user_id))).scalars())
            await record(connection, [AuditEntry(by, "member.remove", room, user) for user in gone])
        return gone

    async def rename(self, room: str, member: Member) -> bool:
        """Keep the name of a member current; whether it is one. Whoever was removed meanwhile stays removed."""
        mine = sa.and_(members.c.room == checked_key(room), members.c.user_id == checked_key(member.id))
        async with self._db.reading() as connection:
            name = (await connection.execute(sa.select(members.c.name).where(mine))).scalar()
        if name is None or name == member.name:
            return name is not None
        async with self._db.transaction() as connection:
            done = await connection.execute(sa.update(members).where(mine).values(name=member.name))
        return done.rowcount > 0
