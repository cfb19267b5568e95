"""Erasure of a user, one batch at a time; a repeated call continues where the last one stopped.

1. Messages become tombstones whose author has no id and no name, which no token can have. They keep their `seq`, so
   that rooms stay gapless, and take a new `rev`, so that returning clients receive the change.
2. A step finds its batch by the rows that are left; a step that finds none is followed by the next one. Nothing is left
   when all steps in a row find nothing.
3. A batch is bounded by its texts too, because writers wait for its transaction.
4. The audit keeps the actions, but neither the user nor the texts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.identity import API_KEY
from rtserver.store.audit import AuditEntry, record
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.erasure.erase_notifications import erase_inbox
from rtserver.store.erasure.erase_scheduled import erase_scheduled
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.changes import lock_rooms
from rtserver.store.messages.copies import remove_copies
from rtserver.store.messages.reactions import with_reactions
from rtserver.store.messages.records import Message
from rtserver.store.messages.retention import BATCH_TEXT
from rtserver.store.rooms.abandoned import remove_abandoned
from rtserver.store.schema import audit, members, messages, reactions, receipts, rooms

ERASED = ""
"""The id and name of the author of an erased user's messages."""
BATCH = 200
_DIRECT = "dm:"

_Row = TypeVar("_Row")


class Step(NamedTuple):
    """One batch: the kind and number of its rows. `messages`: of one room, as clients should see them now."""

    kind: str
    rows: int
    messages: Sequence[Message] = ()
    emoji: Sequence[str] = ()
    """For reactions: the removed one, for each of `messages`."""
    rooms: Sequence[str] = ()
    """For memberships: the rooms that the user left."""
    notifications: Sequence[tuple[str, str]] = ()
    """For messages: removed notifications that quoted them, as (user, notification id) pairs."""
    number: int = 0
    """Where the next call of `EraseUser.step` shall begin."""


_StepFunction = Callable[[AsyncConnection, str], Awaitable[Step]]


class EraseUser:
    """Erases one user at a time, in the steps of `_STEPS`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def step(self, user: str, number: int = 0) -> Step | None:
        """Erase the next batch in one transaction; None when nothing of `user` is left. Raises `Unavailable`.

        `number`: of the last step, so that the steps before it do not look again before each batch.
        """
        if checked_key(user) == ERASED:
            return None
        for at in (*range(number, len(_STEPS)), *range(number)):
            async with self._db.transaction() as connection:
                step = await _STEPS[at](connection, user)
            if step.rows:
                numbered: Step = step._replace(number=at)
                return numbered
        return None

    async def record(self, by: str, counts: dict[str, int]) -> None:
        """Write to the audit that a user was erased, without the user id."""
        async with self._db.transaction() as connection:
            await record(connection, [AuditEntry(by, "user.forget", details=counts)])


async def _abandoned_direct_rooms(connection: AsyncConnection, user: str) -> Step:
    """Direct rooms without another member: removed entirely."""
    others = members.alias("others")
    shared = sa.exists().where(others.c.room == members.c.room, others.c.user_id != user)
    mine = sa.select(members.c.room).where(members.c.user_id == user, members.c.room.startswith(_DIRECT), ~shared)
    room = (await connection.execute(mine.limit(1))).scalar()
    if room is None:
        return Step("messages", 0)
    await lock_rooms(connection, [room])
    length = sa.func.length(messages.c.text).label("length")
    oldest = sa.select(messages.c.seq, messages.c.id, messages.c.mentions, length).where(messages.c.room == room)
    found = (await connection.execute(oldest.order_by(messages.c.seq).limit(BATCH))).all()
    rows = _within_batch_text((row, row.length) for row in found)
    if rows:
        last = rows[-1].seq
        removed = await remove_copies(connection, [(row.id, row.mentions) for row in rows])
        for table in (reactions, messages):
            await connection.execute(sa.delete(table).where(table.c.room == room, table.c.seq <= last))
        await connection.execute(sa.update(rooms).where(rooms.c.room == room).values(first_seq=last + 1))
        return Step("messages", len(rows), notifications=removed)
    for table in (receipts, members, rooms):
        await connection.execute(sa.delete(table).where(table.c.room == room))
    return Step("rooms", 1)


async def _memberships(connection: AsyncConnection, user: str) -> Step:
    mine = sa.select(members.c.room).where(members.c.user_id == user).limit(BATCH)
    left = list((await connection.execute(mine)).scalars())
    these = among(connection, members.c.room, left)
    await connection.execute(sa.delete(members).where(members.c.user_id == user, these))
    await remove_abandoned(connection, left)
    return Step("rooms", len(left), rooms=left)


async def _authored(connection: AsyncConnection, user: str) -> Step:
    """The user's messages in one room, also those already deleted."""
    some = await _of_one_room(connection, messages.c.author_id == user)
    found = _within_batch_text((message, len(message.text)) for message in some)
    if not found:
        return Step("messages", 0)
    room, now = found[0].room, now_ms()
    theirs = sa.and_(reactions.c.room == room, reactions.c.seq.in_([message.seq for message in found]))
    await connection.execute(sa.delete(reactions).where(theirs))
    removed = await remove_copies(connection, [(message.id, message.mentions) for message in found])
    deleted_by = sa.case(
        (sa.or_(messages.c.deleted_by.is_(None), messages.c.deleted_by == user), ERASED), else_=messages.c.deleted_by
    )
    changed = await _update(
        connection, found, author_id=ERASED, author_name=ERASED, text="", words=None, data=None, mentions=None,
        nonce=None, deleted_at=sa.func.coalesce(messages.c.deleted_at, now), deleted_by=deleted_by,
    )  # fmt: skip
    return Step("messages", len(found), changed, notifications=removed)


async def _deleted(connection: AsyncConnection, user: str) -> Step:
    """Messages of others that the user deleted as a moderator."""
    found = await _of_one_room(connection, messages.c.deleted_by == user)
    return Step("deletions", len(found), await _update(connection, found, deleted_by=ERASED) if found else ())


async def _reacted(connection: AsyncConnection, user: str) -> Step:
    room = (await connection.execute(sa.select(reactions.c.room).where(reactions.c.user_id == user).limit(1))).scalar()
    if room is None:
        return Step("reactions", 0)
    await lock_rooms(connection, [room])
    mine = sa.and_(reactions.c.user_id == user, reactions.c.room == room)
    query = sa.select(reactions.c.seq, reactions.c.emoji).where(mine).order_by(reactions.c.seq, reactions.c.emoji)
    rows = [(row.seq, row.emoji) for row in await connection.execute(query.limit(BATCH))]
    for seq, emoji in rows:
        one = sa.and_(mine, reactions.c.seq == seq, reactions.c.emoji == emoji)
        await connection.execute(sa.delete(reactions).where(one))
    seqs = {seq for seq, _ in rows}
    found = await _read(connection, sa.and_(messages.c.room == room, messages.c.seq.in_(seqs)))
    changed = {message.seq: message for message in await _update(connection, found)}
    visible = [(changed[seq], emoji) for seq, emoji in rows if seq in changed]
    return Step("reactions", len(rows), [message for message, _ in visible], [emoji for _, emoji in visible])


async def _read_marks(connection: AsyncConnection, user: str) -> Step:
    done = await connection.execute(sa.delete(receipts).where(receipts.c.user_id == user))
    return Step("receipts", done.rowcount)


async def _inbox(connection: AsyncConnection, user: str) -> Step:
    return Step("notifications", await erase_inbox(connection, user, BATCH))


async def _scheduled(connection: AsyncConnection, user: str) -> Step:
    return Step("scheduled", await erase_scheduled(connection, user))


async def _audited(connection: AsyncConnection, user: str) -> Step:
    count = 0
    # As an actor this name is the holder of an API key, whoever was called so elsewhere.
    for column in (audit.c.target,) if user == API_KEY else (audit.c.actor, audit.c.target):
        some = sa.select(audit.c.id).where(column == user).limit(BATCH)
        done = await connection.execute(sa.update(audit).where(audit.c.id.in_(some)).values({column.name: ERASED}))
        count += done.rowcount
    return Step("audit", count)


_STEPS: tuple[_StepFunction, ...] = (
    _scheduled, _abandoned_direct_rooms, _memberships, _authored, _deleted, _reacted, _read_marks, _inbox, _audited,
)  # fmt: skip


def _within_batch_text(rows: Iterable[tuple[_Row, int]]) -> list[_Row]:
    """The first of `rows`, given with the length of their texts, that have `BATCH_TEXT` characters; at least one."""
    chosen: list[_Row] = []
    left = BATCH_TEXT
    for row, length in rows:
        left -= length
        if chosen and left < 0:
            break
        chosen.append(row)
    return chosen


async def _of_one_room(connection: AsyncConnection, wanted: sa.ColumnElement[bool]) -> list[Message]:
    """A batch of the wanted messages in one room, whose row is locked."""
    room = (await connection.execute(sa.select(messages.c.room).where(wanted).limit(1))).scalar()
    if room is None:
        return []
    await lock_rooms(connection, [room])
    return await _read(connection, sa.and_(messages.c.room == room, wanted))


async def _read(connection: AsyncConnection, wanted: sa.ColumnElement[bool]) -> list[Message]:
    query = sa.select(*message_columns(messages)).where(wanted).order_by(messages.c.seq).limit(BATCH)
    return [message_of(row) for row in await connection.execute(query)]


async def _update(connection: AsyncConnection, found: Sequence[Message], **values: Any) -> list[Message]:
    """Change messages of one locked room; each takes the next `rev`. Returns them as they are now."""
    if not found:
        return []
    room = found[0].room
    advancing = sa.update(rooms).where(rooms.c.room == room).values(last_rev=rooms.c.last_rev + len(found))
    last = int((await connection.execute(advancing.returning(rooms.c.last_rev))).scalar_one())
    this = sa.and_(messages.c.room == room, messages.c.seq == sa.bindparam("which"))
    numbered = enumerate(found, last - len(found) + 1)
    await connection.execute(
        sa.update(messages).where(this).values(rev=sa.bindparam("next"), **values),
        [{"which": message.seq, "next": rev} for rev, message in numbered],
    )
    changed = sa.and_(messages.c.room == room, messages.c.seq.in_([message.seq for message in found]))
    return await with_reactions(connection, await _read(connection, changed))
