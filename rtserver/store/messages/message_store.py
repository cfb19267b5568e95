"""Message store: append and change messages (committed when the call returns), and read them back.

Knows nothing of access rules. `GroupWriter` commits many messages and changes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from msgspec import UNSET
from msgspec.structs import replace

from rtserver.answer_size import ANSWER_BYTES
from rtserver.clock import now_ms
from rtserver.errors import EventError, InvalidPayload
from rtserver.store.db.column_types import MAX_INT, checked_key, checked_text, plain_json
from rtserver.store.db.database import Database
from rtserver.store.db.group_commit import BATCH_LIMIT, QUEUE_LIMIT, GroupWriter
from rtserver.store.db.ids import Ids
from rtserver.store.messages import pages
from rtserver.store.messages.append import Appended, append
from rtserver.store.messages.changes import Change, Changed, Edit, Outcome, React, apply_changes, lock_rooms
from rtserver.store.messages.records import Author, Draft, Member, Message
from rtserver.store.messages.slow_mode import SlowMode
from rtserver.store.notifications.removal import remove_mentions
from rtserver.store.schema import messages

MAX_PAGE = 10_000


class Messages:
    """Saves messages between `start` and `stop`; reads at any time.

    `append` and `change` run in the caller's task: they queue the item and wait for its result. `_write` runs in the
    task of the group writer, once per batch, in one transaction.
    """

    def __init__(self, db: Database, *, queue_limit: int = QUEUE_LIMIT, batch_limit: int = BATCH_LIMIT) -> None:
        self._db = db
        self._ids = Ids()
        self._slow_mode = SlowMode(db)
        self._writer = GroupWriter(self._write, queue_limit=queue_limit, batch_limit=batch_limit)

    async def start(self) -> None:
        """Start the group writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Reject new messages and save the queued ones."""
        await self._writer.stop()

    async def append(self, draft: Draft) -> Appended:
        """Save a message and return it with True, or the first one of the same author, room and nonce with False.

        Raises `InvalidPayload` for values that cannot be stored, `RateLimited` in slow mode, `Unavailable` when it is
        unknown whether the message is saved: repeat the call with the same nonce.
        """
        checked = _checked(draft)
        if checked.slow_seconds is not None:
            await self._slow_mode.check(checked)
        outcome = await self._writer.submit(checked)
        if isinstance(outcome, EventError):
            raise outcome
        return cast("Appended", outcome)

    async def change(self, change: Change) -> Changed:
        """Edit, delete or react. The callers for one room resume in the order of `rev`.

        Raises `NotFound`, `Forbidden`, `Conflict` for a deleted message, too many edits or too many different
        reactions, and what `append` raises.
        """
        outcome = cast("Outcome", await self._writer.submit(_checked_change(change)))
        if isinstance(outcome, EventError):
            raise outcome
        return outcome

    async def history(
        self,
        room: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 50,
        size: int = ANSWER_BYTES,
        oversized: bool = True,
    ) -> pages.Page:
        """A page by rising `seq`, and whether there are more in the requested direction.

        With `after` it reads forwards from there, otherwise backwards from `before` or from the end; both exclusive.
        `size`: the bytes of the page; `oversized`: a first message that is larger is returned all the same.
        """
        kind, position = _cursor(before, after)
        if not 0 < limit <= MAX_PAGE:
            raise InvalidPayload(f"limit must be 1 to {MAX_PAGE}")
        async with self._db.reading() as connection:
            page, more = await pages.page_of(
                connection, kind, checked_key(room), position=position, limit=limit, size=size, oversized=oversized
            )
        return (page if after is not None else page[::-1]), more

    async def changed(
        self, room: str, *, rev: int, upto: int, limit: int, size: int = ANSWER_BYTES, oversized: bool = True
    ) -> pages.Page:
        """Messages up to `upto` that changed after `rev`, by rising `rev`, and whether there are more."""
        async with self._db.reading() as connection:
            return await pages.page_of(
                connection, pages.CHANGED, checked_key(room),
                position=rev, upto=upto, limit=limit, size=size, oversized=oversized,
            )  # fmt: skip

    async def has(self, room: str, id: str) -> bool:
        """Whether `room` has a message of that id, tombstones included."""
        query = sa.select(messages.c.seq).where(messages.c.id == checked_key(id), messages.c.room == checked_key(room))
        async with self._db.reading() as connection:
            return (await connection.execute(query)).first() is not None

    async def knows(self, draft: Draft) -> bool:
        """Whether there is a message of the draft's author, room and nonce already."""
        this = sa.and_(messages.c.room == checked_key(draft.room), messages.c.author_id == checked_key(draft.author.id))
        query = sa.select(messages.c.seq).where(this, messages.c.nonce == draft.nonce)
        async with self._db.reading() as connection:
            return draft.nonce is not None and (await connection.execute(query)).first() is not None

    async def mentions_of(self, room: str, id: str) -> list[str]:
        """The users whom a message mentions now; empty where there is no such message."""
        this = sa.and_(messages.c.id == checked_key(id), messages.c.room == checked_key(room))
        async with self._db.reading() as connection:
            found = (await connection.execute(sa.select(messages.c.mentions).where(this))).scalar()
        return found or []

    async def withdraw_mentions(self, message: Message, users: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Remove the mention notifications of `users` if `message` was deleted or removed.

        Returns (user, notification id) pairs. For notifications that were saved after the end of their message.
        """
        this = sa.and_(messages.c.room == message.room, messages.c.seq == message.seq)
        async with self._db.reading() as connection:
            query = sa.select(messages.c.seq).where(this, messages.c.deleted_at.is_(None))
            if (await connection.execute(query)).first() is not None:
                return ()
        async with self._db.transaction() as connection:
            return (await remove_mentions(connection, [(user, message.id) for user in users])).get(message.id, ())

    async def _write(self, items: Sequence[Draft | Change]) -> list[Appended | EventError | Outcome]:
        """Commit a batch of new messages and changes in one transaction; called by the group writer."""
        drafts = [item for item in items if isinstance(item, Draft)]
        changes = [item for item in items if not isinstance(item, Draft)]
        now = now_ms()
        async with self._db.transaction() as connection:
            if drafts and changes:  # all rooms in one order, or two servers may deadlock
                await lock_rooms(connection, {item.room for item in items})
            appended = iter(await append(connection, drafts, self._ids, now) if drafts else ())
            outcomes = iter(await apply_changes(connection, changes, self._ids, now) if changes else ())
        return [next(appended) if isinstance(item, Draft) else next(outcomes) for item in items]


def _cursor(before: int | None, after: int | None) -> tuple[str, int]:
    name, seq = ("after", after) if after is not None else ("before", before)
    if seq is not None and not 0 <= seq <= MAX_INT:
        raise InvalidPayload(f"{name} must be a sequence number")
    return (pages.AFTER if after is not None else pages.BEFORE), MAX_INT if seq is None else seq


def _checked(draft: Draft) -> Draft:
    """The draft as it will be read back. Invalid values are rejected here, not in the middle of a batch."""
    return Draft(
        checked_key(draft.room),
        Author(checked_key(draft.author.id), checked_text(draft.author.name)),
        checked_text(draft.text),
        nonce=None if draft.nonce is None else checked_key(draft.nonce),
        reply_to=None if draft.reply_to is None else checked_key(draft.reply_to),
        data=plain_json(draft.data),
        mentions=None if draft.mentions is None else [checked_key(user) for user in draft.mentions],
        slow_seconds=draft.slow_seconds,
        opens=None if draft.opens is None else [_checked_member(member) for member in draft.opens],
    )


def _checked_member(member: Member) -> Member:
    return Member(checked_key(member.id), checked_text(member.name))


def _checked_change(change: Change) -> Change:
    checked = replace(change, room=checked_key(change.room), id=checked_key(change.id), actor=checked_key(change.actor))
    if isinstance(checked, Edit):
        data = checked.data if checked.data is UNSET else plain_json(checked.data)
        mentions = None if checked.mentions is None else [checked_key(user) for user in checked.mentions]
        return replace(checked, text=checked_text(checked.text), data=data, mentions=mentions)
    return replace(checked, emoji=checked_key(checked.emoji)) if isinstance(checked, React) else checked
