"""Message changes: one transaction for a batch of edits, deletions and reactions.

1. The room rows are locked first, so that changes of one message are made one after the other. Each takes the next
   `rev` of the room.
2. A change without effect (the same text, an existing reaction) takes no `rev`, so that repeating it is harmless.
3. A rejected change is a result, not an error of the batch: the others are committed.
4. Overwritten content is kept in the audit and nowhere else. The notifications that quote a deleted message are
   removed.
5. An edit that is older than the stored message does not win: one whose author saw an earlier `rev`, and one that may
   have waited in a stalled process while the message was edited elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import UNSET, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso
from rtserver.errors import Conflict, EventError, Forbidden, NotFound
from rtserver.store.db.dialects import in_byte_order, insert_into
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.reactions import with_reactions
from rtserver.store.messages.records import Message
from rtserver.store.messages.search_tokens import text_columns
from rtserver.store.notifications.removal import remove_mentions
from rtserver.store.schema import audit, messages, reactions, rooms

MAX_EMOJI = 20
"""Different emoji on one message."""
MAX_EDITS = 500
"""Edits of one message. Each is kept in the audit and read when the message is deleted."""


class Edit(Struct, frozen=True):
    """`any_author`: whether `actor` may change messages of others. UNSET `data` stays as it is.

    `seen`: the `rev` that the author saw, 0 for a message without one; None: any. `waited`: beginning and end of the
    stall in which the edit may have waited, in milliseconds since the epoch.
    """

    room: str
    id: str
    actor: str
    any_author: bool
    text: str
    data: Any = UNSET
    mentions: list[str] | None = None
    seen: int | None = None
    waited: tuple[int, int] | None = None


class Delete(Struct, frozen=True):
    """`any_author`: whether `actor` may delete messages of others."""

    room: str
    id: str
    actor: str
    any_author: bool


class React(Struct, frozen=True):
    """Add (`on`) or remove the reaction of `actor`."""

    room: str
    id: str
    actor: str
    emoji: str
    on: bool


Change = Edit | Delete | React


class Changed(NamedTuple):
    """The message as it is now, whether the change had an effect, and the users whom it newly mentions.

    `removed`: the mention notifications of a deleted message, as (user, notification id) pairs.
    """

    message: Message
    changed: bool
    mentioned: list[str]
    removed: Sequence[tuple[str, str]] = ()


Outcome = Changed | EventError


async def apply_changes(
    connection: AsyncConnection, changes: Sequence[Change], new_id: Callable[[], str], now: int
) -> list[Outcome]:
    """Apply changes in order, in the caller's transaction; returns the outcome of each. `now`: milliseconds."""
    last_revs = await lock_rooms(connection, {change.room for change in changes})
    before = dict(last_revs)
    batch = _Batch(connection, last_revs, new_id, now)
    outcomes = [await batch.apply(change) for change in changes]
    moved = {room: rev for room, rev in last_revs.items() if rev != before[room]}
    for room, rev in sorted(moved.items()):
        await connection.execute(sa.update(rooms).where(rooms.c.room == room).values(last_rev=rev))
    if batch.audited:
        await connection.execute(sa.insert(audit), batch.audited)
    removed = await remove_mentions(
        connection, batch.quoted
    )  # for all at once, because it locks inboxes in sorted order
    return [
        one._replace(removed=removed[one.message.id])
        if isinstance(one, Changed) and one.changed and one.message.deleted_at and one.message.id in removed
        else one
        for one in outcomes
    ]


async def lock_rooms(connection: AsyncConnection, names: Iterable[str]) -> dict[str, int]:
    """Lock the rooms that exist, in sorted order, and return the last `rev` of each."""
    query = sa.select(rooms.c.room, rooms.c.last_rev).where(rooms.c.room.in_(sorted(names)))
    query = query.order_by(in_byte_order(connection, rooms.c.room))  # the order of `append`
    # FOR NO KEY UPDATE: new messages refer to the key. SQLite holds the write lock anyway.
    rows = await connection.execute(query.with_for_update(key_share=True))
    return {row.room: row.last_rev for row in rows}


class _Batch:
    """The state of `apply_changes`: the last `rev` of each room, audit rows, and mentions to be removed."""

    def __init__(
        self, connection: AsyncConnection, last_revs: dict[str, int], new_id: Callable[[], str], now: int
    ) -> None:
        self._connection = connection
        self._last_revs = last_revs
        self._new_id = new_id
        self._now = now
        self.audited: list[dict[str, Any]] = []
        self.quoted: list[tuple[str, str]] = []
        """The users whom deleted messages mentioned, as (user, message id) pairs."""

    async def apply(self, change: Change) -> Outcome:
        try:
            message = await self._find(change)
            if isinstance(change, React):
                changed = await self._react(message, change)
            else:
                _check_author(message, change)
                changed = await (
                    self._edit(message, change) if isinstance(change, Edit) else self._delete(message, change)
                )
        except EventError as refusal:
            return refusal
        after = await self._find(change) if changed else message
        [shown] = await with_reactions(self._connection, [after])
        before = set(message.mentions or ())
        mentioned = [user for user in shown.mentions or () if user not in before]
        return Changed(shown, changed, mentioned)

    async def _find(self, change: Change) -> Message:
        query = sa.select(*message_columns(messages)).where(messages.c.id == change.id, messages.c.room == change.room)
        row = (await self._connection.execute(query)).first()
        if row is None:
            raise NotFound("There is no such message")
        return message_of(row)

    async def _edit(self, message: Message, edit: Edit) -> bool:
        _check_alive(message)
        data = message.data if edit.data is UNSET else edit.data
        if (message.text, message.data, message.mentions) == (edit.text, data, edit.mentions):
            return False
        _check_order(message, edit)
        if message.edited_at is not None:
            await self._check_edit_limit(message)
        self._record(message, edit, "message.edit")
        changed = text_columns(edit.text) | {"data": data, "mentions": edit.mentions}
        await self._update(message, **changed, edited_at=self._now)
        return True

    async def _delete(self, message: Message, delete: Delete) -> bool:
        if message.deleted_at is not None:
            return False
        self._record(message, delete, "message.delete")
        mentioned = {*(message.mentions or ()), *(await self._formerly_mentioned(message) if message.edited_at else ())}
        self.quoted += [(user, message.id) for user in sorted(mentioned)]
        await self._connection.execute(sa.delete(reactions).where(*_on(message)))
        await self._update(
            message, text="", words=None, data=None, mentions=None, deleted_at=self._now, deleted_by=delete.actor
        )
        return True

    async def _formerly_mentioned(self, message: Message) -> list[str]:
        query = sa.select(audit.c.details).where(audit.c.target == message.id)
        earlier = list((await self._connection.execute(query)).scalars())
        earlier += [row["details"] for row in self.audited if row["target"] == message.id]
        return [user for before in earlier if isinstance(before, dict) for user in before.get("mentions") or ()]

    async def _react(self, message: Message, react: React) -> bool:
        _check_alive(message)
        mine = sa.and_(*_on(message), reactions.c.emoji == react.emoji, reactions.c.user_id == react.actor)
        if react.on:
            await self._check_emoji_limit(message, react.emoji)
            row = {"room": message.room, "seq": message.seq, "emoji": react.emoji, "user_id": react.actor}
            adding = insert_into(self._connection, reactions).values(row | {"reacted_at": self._now})
            done = await self._connection.execute(adding.on_conflict_do_nothing())
        else:
            done = await self._connection.execute(sa.delete(reactions).where(mine))
        if done.rowcount <= 0:
            return False
        await self._update(message)
        return True

    async def _check_edit_limit(self, message: Message) -> None:
        query = sa.select(sa.func.count()).where(audit.c.target == message.id)
        edits = int((await self._connection.execute(query)).scalar_one())
        edits += sum(row["target"] == message.id for row in self.audited)
        if edits >= MAX_EDITS:
            raise Conflict(f"A message can be edited {MAX_EDITS} times at most", details={"limit": MAX_EDITS})

    async def _check_emoji_limit(self, message: Message, emoji: str) -> None:
        query = sa.select(reactions.c.emoji).where(*_on(message)).distinct()
        known = set((await self._connection.execute(query)).scalars())
        if emoji not in known and len(known) >= MAX_EMOJI:
            raise Conflict(f"A message can have {MAX_EMOJI} different reactions at most", details={"limit": MAX_EMOJI})

    async def _update(self, message: Message, **values: Any) -> None:
        self._last_revs[message.room] = rev = self._last_revs[message.room] + 1
        this = sa.and_(messages.c.room == message.room, messages.c.seq == message.seq)
        await self._connection.execute(sa.update(messages).where(this).values(rev=rev, **values))

    def _record(self, message: Message, change: Edit | Delete, action: str) -> None:
        before: dict[str, Any] = {
            "author": message.from_.id, "seq": message.seq, "text": message.text, "data": message.data,
        }  # fmt: skip
        if message.mentions:  # erasure of the author must find the notified users
            before["mentions"] = message.mentions
        self.audited.append(
            {
                "id": self._new_id(),
                "at": self._now,
                "actor": change.actor,
                "action": action,
                "room": message.room,
                "target": message.id,
                "details": before,
            }
        )


def _on(message: Message) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return reactions.c.room == message.room, reactions.c.seq == message.seq


def _check_author(message: Message, change: Edit | Delete) -> None:
    if message.from_.id != change.actor and not change.any_author:
        raise Forbidden("Only its author may change a message")


def _check_order(message: Message, edit: Edit) -> None:
    """Rule 5."""
    seen_all = edit.seen is None or edit.seen >= (message.rev or 0)
    edited_meanwhile = (
        edit.waited is not None
        and message.edited_at is not None
        and iso(edit.waited[0]) <= message.edited_at <= iso(edit.waited[1])
    )
    if not seen_all or edited_meanwhile:
        raise Conflict("The message has changed since; look at it before you edit it again")


def _check_alive(message: Message) -> None:
    if message.deleted_at is not None:
        raise Conflict("The message was deleted")
