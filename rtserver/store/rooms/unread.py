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

from rtserver.answer_size import ANSWER_BYTES, fitting
from rtserver.errors import InvalidPayload
from rtserver.protocol import json
from rtserver.store.db.column_types import MAX_INT, Int, Key, checked_key
from rtserver.store.db.dialects import among_json
from rtserver.store.db.page_size import octets, room_for, within_room
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.records import ReadState, RoomSummary
from rtserver.store.schema import members, messages, receipts, rooms

MAX_SUMMARIES = 500
"""Rooms in one page of a user's list."""

USER = sa.bindparam("user", type_=Key)
NAMED = sa.bindparam("named", type_=sa.Text)
"""The user id as it stands in the JSON of a list of mentions."""


async def summaries_of(
    connection: AsyncConnection, user: str, cursor: str | None
) -> tuple[list[RoomSummary], str | None]:
    """A page of the rooms of `user`, latest activity first, and the cursor of the next page.

    At most `MAX_SUMMARIES`, and as many as fit into an answer. Raises `InvalidPayload` for a cursor of another list.
    """
    active_at, room = _position(cursor)
    given = {**_about(user), "at_most": MAX_SUMMARIES + 1, "active_at": active_at, "after": room}
    query = _summaries(connection.dialect.name)
    rows = (await connection.execute(query, given | room_for(ANSWER_BYTES))).all()
    page = fitting([_summary(row[2:]) for row in rows[:MAX_SUMMARIES]])
    more = rows and rows[0].found > len(page)
    return list(page), f"{rows[len(page) - 1].active_at}:{page[-1].room}" if more else None


async def unread_in(connection: AsyncConnection, user: str) -> list[ReadState]:
    """The read state of `user` in the `MAX_SUMMARIES` rooms with the latest activity, in this order."""
    rows = await connection.execute(_latest(), {**_about(user), "at_most": MAX_SUMMARIES})
    return [_read_state(row, member=True) for row in rows]


async def read_states_of(connection: AsyncConnection, user: str, names: Sequence[str]) -> dict[str, ReadState]:
    """The read state of `user` in each of the rooms `names`; rooms that do not exist are left out."""
    wanted = json.dumps([checked_key(name) for name in names]).decode()
    rows = await connection.execute(_read_states(connection.dialect.name), {**_about(user), "names": wanted})
    found = [_read_state(row[:-1], member=row[-1] is not None) for row in rows]
    return {state.room: state for state in found}


def _about(user: str) -> dict[str, str]:
    return {"user": user, "named": json.dumps(checked_key(user)).decode()}


def _position(cursor: str | None) -> tuple[int, str]:
    """The activity and the name of the last room before the page; all rooms are behind that of no cursor."""
    if cursor is None:
        return MAX_INT, ""
    active_at, _, room = cursor.partition(":")
    if not active_at.isascii() or not active_at.isdigit() or int(active_at) > MAX_INT:
        raise InvalidPayload("This is not a cursor of a list of rooms", details={"field": "cursor"})
    return int(active_at), room


def _of_user() -> sa.Select[Any]:
    """The user's rooms, latest activity first. Limited here, before anything is looked up for each."""
    return (
        sa.select(rooms)
        .join(members, members.c.room == rooms.c.room)
        .where(members.c.user_id == USER)
        .order_by(rooms.c.active_at.desc(), rooms.c.room)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
    )


@cache
def _latest() -> sa.Select[tuple[Any, ...]]:
    active = _of_user().subquery()
    return (
        sa.select(*_columns(active))
        .select_from(active)
        .outerjoin(receipts, _receipt(active))
        .order_by(active.c.active_at.desc(), active.c.room)
    )


@cache
def _summaries(dialect: str) -> sa.Select[tuple[Any, ...]]:
    active_at, after = sa.bindparam("active_at", type_=Int), sa.bindparam("after", type_=Key)
    behind = sa.or_(rooms.c.active_at < active_at, sa.and_(rooms.c.active_at == active_at, rooms.c.room > after))
    listed = _of_user().where(behind).subquery("listed")
    last = messages.alias("last")
    size = octets(dialect, last.c.text, last.c.data, last.c.mentions, listed.c.meta)
    sized = (
        sa.select(listed, size.label("size"))
        .select_from(listed)
        .outerjoin(last, sa.and_(last.c.room == listed.c.room, last.c.seq == listed.c.last_seq))
    )
    active = within_room(sized, lambda listed: [listed.active_at.desc(), listed.room])
    newest = sa.and_(messages.c.room == active.c.room, messages.c.seq == active.c.last_seq)
    return (
        sa.select(
            active.c.found, active.c.active_at, *_columns(active), active.c.policy, active.c.meta,
            *message_columns(messages),
        )
        .select_from(active)
        .outerjoin(receipts, _receipt(active))
        .outerjoin(messages, newest)
        .order_by(active.c.active_at.desc(), active.c.room)
    )  # fmt: skip


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
