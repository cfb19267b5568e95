"""Unread counts: the read state of a user in rooms, and the list of rooms.

1. Unread are the messages after the user's read cursor and after the user's own last message, without deleted ones.
2. Each value is one look-up in an index, independent of the number of messages in the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.protocol import json
from rtserver.store.db.column_types import Key, checked_key
from rtserver.store.db.dialects import among_json
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.records import ReadState, RoomSummary
from rtserver.store.schema import members, messages, receipts, rooms

MAX_SUMMARIES = 500
"""Rooms in a user's list."""

USER = sa.bindparam("user", type_=Key)
NAMED = sa.bindparam("named", type_=sa.Text)
"""The user id as it stands in the JSON of a list of mentions."""


async def summaries_of(connection: AsyncConnection, user: str) -> list[RoomSummary]:
    """The rooms of `user`, latest activity first, at most `MAX_SUMMARIES`."""
    rows = await connection.execute(_summaries(), {**_about(user), "at_most": MAX_SUMMARIES})
    return [_summary(row) for row in rows]


async def read_states_of(connection: AsyncConnection, user: str, names: Sequence[str]) -> dict[str, ReadState]:
    """The read state of `user` in each of the rooms `names`; rooms that do not exist are left out."""
    wanted = json.dumps([checked_key(name) for name in names]).decode()
    rows = await connection.execute(_read_states(connection.dialect.name), {**_about(user), "names": wanted})
    found = [_read_state(row[:-1], member=row[-1] is not None) for row in rows]
    return {state.room: state for state in found}


def _about(user: str) -> dict[str, str]:
    return {"user": user, "named": json.dumps(checked_key(user)).decode()}


@cache
def _summaries() -> sa.Select[tuple[Any, ...]]:
    active = (
        sa.select(rooms)
        .join(members, members.c.room == rooms.c.room)
        .where(members.c.user_id == USER)
        .order_by(rooms.c.active_at.desc(), rooms.c.room)
        .limit(sa.bindparam("at_most", type_=sa.Integer))  # applied before the messages are looked up
        .subquery()
    )
    newest = sa.and_(messages.c.room == active.c.room, messages.c.seq == active.c.last_seq)
    return (
        sa.select(*_columns(active), active.c.policy, active.c.meta, *message_columns(messages))
        .select_from(active)
        .outerjoin(receipts, _receipt(active))
        .outerjoin(messages, newest)
        .order_by(active.c.active_at.desc(), active.c.room)
    )


@cache
def _read_states(dialect: str) -> sa.Select[tuple[Any, ...]]:
    """Cached: building the statement takes longer than executing it, and every join needs it."""
    chosen = sa.select(rooms).where(among_json(dialect, rooms.c.room, sa.bindparam("names", type_=sa.Text))).subquery()
    mine = sa.and_(members.c.room == chosen.c.room, members.c.user_id == USER)
    return (
        sa.select(*_columns(chosen), members.c.user_id)
        .select_from(chosen)
        .outerjoin(receipts, _receipt(chosen))
        .outerjoin(members, mine)
    )


def _receipt(chosen: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(receipts.c.room == chosen.c.room, receipts.c.user_id == USER)


def _columns(chosen: sa.FromClause) -> list[sa.ColumnElement[Any]]:
    """The columns of a row for `_read_state`, in its order."""
    own = messages.alias("own")
    own_last = sa.select(sa.func.max(own.c.seq)).where(own.c.author_id == USER, own.c.room == chosen.c.room)
    # Explicit: inside the counts SQLAlchemy would correlate it wrongly, to the last message in any of the rooms.
    last = own_last.correlate(chosen).scalar_subquery()
    tombstones, mentioning_messages = messages.alias("gone"), messages.alias("naming")
    deleted = _count(tombstones, chosen, last).where(tombstones.c.deleted_at.is_not(None))
    # Searched in the JSON text of the list; LIKE would ignore case.
    listed = sa.type_coerce(mentioning_messages.c.mentions, sa.Text)
    mentioning = _count(mentioning_messages, chosen, last).where(
        mentioning_messages.c.mentions.is_not(None), sa.func.replace(listed, NAMED, "") != listed
    )
    columns = [chosen.c.room, chosen.c.last_seq, chosen.c.first_seq, chosen.c.last_rev, receipts.c.seq, last]
    return [*columns, deleted.scalar_subquery(), mentioning.scalar_subquery()]


def _count(table: sa.FromClause, chosen: sa.FromClause, own_last: Any) -> sa.Select[int]:
    """The number of messages after the read cursor and after the user's own last message."""
    after_receipt = table.c.seq > sa.func.coalesce(receipts.c.seq, 0)
    after_own = table.c.seq > sa.func.coalesce(own_last, 0)
    return (
        sa.select(sa.func.count())
        .where(table.c.room == chosen.c.room, after_receipt, after_own)
        .correlate(chosen, receipts)
    )


def _read_state(row: Sequence[Any], *, member: bool) -> ReadState:
    room, last_seq, first_seq, rev, read, own_last, deleted, mentions = row
    since = max(read or 0, own_last or 0, first_seq - 1)
    unread = max(0, last_seq - since - deleted)
    return ReadState(room, last_seq, first_seq, rev, read or 0, unread, mentions, member)


def _summary(row: Sequence[Any]) -> RoomSummary:
    state, (policy, meta, *last) = _read_state(row[:8], member=True), row[8:]
    message = message_of(last) if last[0] is not None else None
    return RoomSummary(state.room, state.unread, message, state.last_read, state.mentions, state.rev, policy, meta)
