"""Room store: memberships, and a member's list of rooms.

Membership lasts until `leave`; it is independent of connections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.errors import Conflict
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import insert_into, matches
from rtserver.store.db.user_queue import UserQueue
from rtserver.store.messages.records import Member, ReadState, RoomSummary
from rtserver.store.rooms.abandoned import remove_abandoned
from rtserver.store.rooms.unread import read_states_of, summaries_of, unread_in
from rtserver.store.schema import members, rooms

MAX_NEIGHBOURSHIPS = 20_000
MAX_ROOMS = 10_000
MAX_MEMBERS = 1000
"""Bounds of one query, for users in many rooms and rooms with many members: memberships read by `neighbours`, rooms
returned by `rooms_of`, members listed."""
LISTS_AT_ONCE, LISTS_WAITING, LISTS_SECONDS = 3, 100, 10.0
"""The longest reads, `neighbours`, `summaries` and `unread`, leave connections to the others: how many run at once, of
each user one, how many of a user may wait, and how long."""


class Rooms:
    """All methods raise `Unavailable`; `neighbours`, `summaries` and `unread` also `RateLimited`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lists = UserQueue(concurrent=LISTS_AT_ONCE, waiting=LISTS_WAITING, seconds=LISTS_SECONDS)

    async def join(self, room: str, member: Member) -> bool:
        """Make `member` a member and create the room if needed; True for a new member. Updates the member's name."""
        if await self._name(room, member.id) == member.name:
            return False  # returning clients join again often: they need no commit
        try:
            return await self._join(room, member)
        except Conflict:  # the room was abandoned, and is removed at this moment: make it anew
            return await self._join(room, member)

    async def _join(self, room: str, member: Member) -> bool:
        async with self._db.transaction() as connection:
            await _make_room(connection, room)
            joined = await _add_member(connection, room, member)
            if not joined:
                await connection.execute(sa.update(members).where(_is(room, member.id)).values(name=member.name))
        return joined

    async def leave(self, room: str, user: str) -> bool:
        """End the membership; False where there was none. The last member takes a room that holds nothing along."""
        if not await self.is_member(room, user):
            return False
        async with self._db.transaction() as connection:
            done = await connection.execute(sa.delete(members).where(_is(room, user)))
            await remove_abandoned(connection, [room])
        return done.rowcount > 0

    async def members(self, room: str, *, after: str = "", limit: int = MAX_MEMBERS) -> list[Member]:
        """A page by id, beginning after the id `after`. All pages cost the same, and joins and leaves shift none."""
        query = sa.select(members.c.user_id, members.c.name).where(members.c.room == room)
        if after:
            query = query.where(members.c.user_id > after)
        async with self._db.reading() as connection:
            rows = await connection.execute(query.order_by(members.c.user_id).limit(limit))
        return [Member(row.user_id, row.name) for row in rows]

    async def count_members(self, room: str) -> int:
        """The number of all members."""
        query = sa.select(sa.func.count()).where(members.c.room == room)
        async with self._db.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def members_among(self, room: str, users: Sequence[str]) -> set[str]:
        """The subset of `users` that are members of `room`."""
        async with self._db.reading() as connection:
            wanted = matches(connection, [members.c.user_id], [(checked_key(user),) for user in users])
            query = sa.select(members.c.user_id).where(members.c.room == room, wanted)
            return set((await connection.execute(query)).scalars())

    async def is_member(self, room: str, user: str) -> bool:
        """Whether `user` is a member of `room`."""
        return await self._name(room, user) is not None

    async def have_common_room(self, one: str, other: str) -> bool:
        """Whether both users are members of the same room."""
        mine, theirs = members.alias("mine"), members.alias("theirs")
        both = sa.and_(theirs.c.room == mine.c.room, theirs.c.user_id == checked_key(other))
        query = sa.select(mine.c.room).join(theirs, both).where(mine.c.user_id == checked_key(one)).limit(1)
        async with self._db.reading() as connection:
            return (await connection.execute(query)).first() is not None

    async def rooms_of(self, user: str) -> list[str]:
        """The names of the rooms of `user`, sorted, at most `MAX_ROOMS`."""
        query = sa.select(members.c.room).where(members.c.user_id == user).limit(MAX_ROOMS)
        async with self._db.reading() as connection:
            return sorted((await connection.execute(query)).scalars())

    async def neighbours(self, user: str, readable: Callable[[str | None], bool] = lambda policy: True) -> list[str]:
        """The users that share a room with `user`, `user` included; from at most `MAX_NEIGHBOURSHIPS` memberships.

        Only in rooms whose own policy is `readable`.
        """
        mine, theirs = members.alias("mine"), members.alias("theirs")
        own = sa.select(rooms.c.policy).join(mine, mine.c.room == rooms.c.room).where(mine.c.user_id == user).distinct()
        shared = sa.select(theirs.c.user_id).select_from(mine).join(theirs, theirs.c.room == mine.c.room)
        async with self._lists.turn(user), self._db.reading() as connection:
            policies = list((await connection.execute(own)).scalars())
            hidden = [policy for policy in policies if not readable(policy)]
            if hidden:
                shared = shared.join(rooms, rooms.c.room == mine.c.room).where(_has_another_policy(hidden))
            found = shared.where(mine.c.user_id == user).limit(MAX_NEIGHBOURSHIPS).subquery()
            return sorted((await connection.execute(sa.select(found.c.user_id).distinct())).scalars())

    async def summaries(self, user: str, cursor: str | None = None) -> tuple[list[RoomSummary], str | None]:
        """A page of the rooms of `user`, latest activity first, and the cursor of the next page."""
        async with self._lists.turn(user), self._db.reading() as connection:
            return await summaries_of(connection, user, cursor)

    async def unread(self, user: str) -> list[ReadState]:
        """The read state of `user` in the rooms of a page of `summaries`, without anything else."""
        async with self._lists.turn(user), self._db.reading() as connection:
            return await unread_in(connection, user)

    async def read_states(self, user: str, names: Sequence[str]) -> dict[str, ReadState]:
        """The read state of `user` in these rooms, member or not; rooms that do not exist are left out."""
        async with self._db.reading() as connection:
            return await read_states_of(connection, user, names)

    async def _name(self, room: str, user: str) -> str | None:
        query = sa.select(members.c.name).where(_is(room, user))
        async with self._db.reading() as connection:
            name: str | None = (await connection.execute(query)).scalar()
        return name


def _has_another_policy(hidden: Sequence[str | None]) -> sa.ColumnElement[bool]:
    policy = sa.func.coalesce(rooms.c.policy, "")  # no policy is empty
    return policy.not_in([each or "" for each in hidden])


def _is(room: str, user: str) -> sa.ColumnElement[bool]:
    return sa.and_(members.c.room == room, members.c.user_id == user)


async def _make_room(connection: AsyncConnection, room: str) -> None:
    row = {"room": room, "last_seq": 0, "active_at": now_ms()}
    await connection.execute(insert_into(connection, rooms).values(row).on_conflict_do_nothing())


async def _add_member(connection: AsyncConnection, room: str, member: Member) -> bool:
    row = {"room": room, "user_id": member.id, "name": member.name, "joined_at": now_ms()}
    done = await connection.execute(insert_into(connection, members).values(row).on_conflict_do_nothing())
    return done.rowcount > 0
