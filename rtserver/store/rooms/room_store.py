"""Who is a member of which room, and how a member's list of rooms looks.

Membership lasts until `leave`: it has nothing to do with who is connected.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import insert_into, matches
from rtserver.store.messages.records import Member, ReadState, RoomSummary
from rtserver.store.rooms.unread import read_states_of, summaries_of
from rtserver.store.schema import members, rooms

MAX_NEIGHBOURSHIPS = 20_000
MAX_ROOMS = 10_000
MAX_MEMBERS = 1000
"""What one question may cost, however many rooms somebody has joined and however many are in them: memberships looked
at, rooms told of a user, members listed."""


class Rooms:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def join(self, room: str, member: Member) -> bool:
        """Make `member` a member, and the room where there is none; whether that is new. Keeps the name current."""
        if await self._name(room, member.id) == member.name:
            return False  # returning clients join again all the time: they need no commit
        async with self._db.transaction() as connection:
            await _make_room(connection, room)
            joined = await _add_member(connection, room, member)
            if not joined:
                await connection.execute(sa.update(members).where(_is(room, member.id)).values(name=member.name))
        return joined

    async def leave(self, room: str, user: str) -> bool:
        """End the membership; whether there was one."""
        if not await self.is_member(room, user):
            return False
        async with self._db.transaction() as connection:
            done = await connection.execute(sa.delete(members).where(_is(room, user)))
        return done.rowcount > 0

    async def members(self, room: str, *, after: str = "", limit: int = MAX_MEMBERS) -> list[Member]:
        """By id, those after `after`: a page costs the same wherever it is, and who comes or goes moves none."""
        query = sa.select(members.c.user_id, members.c.name).where(members.c.room == room)
        if after:
            query = query.where(members.c.user_id > after)
        async with self._db.reading() as connection:
            rows = await connection.execute(query.order_by(members.c.user_id).limit(limit))
        return [Member(row.user_id, row.name) for row in rows]

    async def count_members(self, room: str) -> int:
        query = sa.select(sa.func.count()).where(members.c.room == room)
        async with self._db.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def members_among(self, room: str, users: Sequence[str]) -> set[str]:
        """Those of `users` that are members of `room`."""
        async with self._db.reading() as connection:
            wanted = matches(connection, [members.c.user_id], [(checked_key(user),) for user in users])
            query = sa.select(members.c.user_id).where(members.c.room == room, wanted)
            return set((await connection.execute(query)).scalars())

    async def is_member(self, room: str, user: str) -> bool:
        return await self._name(room, user) is not None

    async def rooms_of(self, user: str) -> list[str]:
        """The names of the rooms that `user` is a member of, sorted, `MAX_ROOMS` at most."""
        query = sa.select(members.c.room).where(members.c.user_id == user).limit(MAX_ROOMS)
        async with self._db.reading() as connection:
            return sorted((await connection.execute(query)).scalars())

    async def neighbours(self, user: str) -> list[str]:
        """Who shares a room with `user`, `user` included; in a great many rooms not all of them."""
        mine, theirs = members.alias("mine"), members.alias("theirs")
        shared = sa.select(theirs.c.user_id).select_from(mine).join(theirs, theirs.c.room == mine.c.room)
        found = shared.where(mine.c.user_id == user).limit(MAX_NEIGHBOURSHIPS).subquery()
        async with self._db.reading() as connection:
            return sorted((await connection.execute(sa.select(found.c.user_id).distinct())).scalars())

    async def summaries(self, user: str) -> list[RoomSummary]:
        """The rooms of `user`, the one with the latest activity first, `unread.MAX_SUMMARIES` at most."""
        async with self._db.reading() as connection:
            return await summaries_of(connection, user)

    async def read_states(self, user: str, names: Sequence[str]) -> dict[str, ReadState]:
        """How `user` stands in these rooms, member or not; those that nobody has made yet are left out."""
        async with self._db.reading() as connection:
            return await read_states_of(connection, user, names)

    async def _name(self, room: str, user: str) -> str | None:
        query = sa.select(members.c.name).where(_is(room, user))
        async with self._db.reading() as connection:
            name: str | None = (await connection.execute(query)).scalar()
        return name


def _is(room: str, user: str) -> sa.ColumnElement[bool]:
    return sa.and_(members.c.room == room, members.c.user_id == user)


async def _make_room(connection: AsyncConnection, room: str) -> None:
    row = {"room": room, "last_seq": 0, "active_at": now_ms()}
    await connection.execute(insert_into(connection, rooms).values(row).on_conflict_do_nothing())


async def _add_member(connection: AsyncConnection, room: str, member: Member) -> bool:
    row = {"room": room, "user_id": member.id, "name": member.name, "joined_at": now_ms()}
    done = await connection.execute(insert_into(connection, members).values(row).on_conflict_do_nothing())
    return done.rowcount > 0
