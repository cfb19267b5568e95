"""Append: one transaction that numbers and inserts a batch of messages.

Sequence numbers are gapless: a client that has 7 and receives 9 knows that it misses 8. A database sequence cannot do
that, because a rolled-back transaction leaves a gap, and a higher number may become visible before a lower one. Here a
number is `rooms.last_seq + 1`, taken under the row lock of the room that is held until the commit. So the numbers of a
room become visible in order, also with several servers, and a rollback returns its numbers. The price is that one
room commits one batch at a time; group commit makes that batch large.

1. The room rows are locked first, in sorted order, so that two servers neither deadlock nor take the same number.
2. Nonces are looked up after that: an earlier transaction with the same nonce in these rooms has committed by then.
3. A replay (a known nonce) takes no number and is not subject to slow mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso
from rtserver.errors import RateLimited
from rtserver.store.db.dialects import insert_into, matches
from rtserver.store.messages.records import Author, Draft, Message
from rtserver.store.messages.search_tokens import text_columns
from rtserver.store.messages.slow_mode import check_slow_mode
from rtserver.store.schema import members, messages, rooms

Appended = tuple[Message, bool]
_Nonce = tuple[str, str, str]  # author, room, nonce
_COLUMNS = (
    "id", "seq", "room", "author_id", "author_name", "text", "sent_at", "nonce", "reply_to", "data", "mentions",
    "rev", "edited_at", "deleted_at", "deleted_by",
)  # fmt: skip


async def append(
    connection: AsyncConnection, drafts: Sequence[Draft], new_id: Callable[[], str], now: int
) -> list[Appended | RateLimited]:
    """Append a batch; returns for each draft, in order, its message and whether it is new, or `RateLimited`.

    `now`: milliseconds. Runs in the caller's transaction.
    """
    last_seqs = await _lock_rooms(connection, sorted({draft.room for draft in drafts}), now)
    known = await _replayed(connection, drafts)
    slow = ((n, one) for n, one in enumerate(drafts) if one.slow_seconds is not None and _nonce(one) not in known)
    refused = await check_slow_mode(connection, slow, now)
    accepted = [draft for position, draft in enumerate(drafts) if position not in refused]
    appended = number(accepted, last_seqs, known, new_id, iso(now))
    fresh = [message for message, new in appended if new]
    if fresh:
        await connection.execute(sa.insert(messages), [_row(message, now) for message in fresh])
        await _advance_rooms(connection, {m.room: m.seq for m in fresh}, now)
    opening = [draft for draft in accepted if draft.opens]
    if opening:
        await _open_rooms(connection, opening, now)
    saved = iter(appended)
    return [refused[position] if position in refused else next(saved) for position in range(len(drafts))]


def number(
    drafts: Sequence[Draft],
    last_seqs: dict[str, int],
    known: dict[_Nonce, Message],
    new_id: Callable[[], str],
    sent_at: str,
) -> list[Appended]:
    """Assign each draft its message: the known one of its nonce, or a new one with the next number.

    Pure but for `last_seqs` and `known`, which it advances.
    """
    appended: list[Appended] = []
    for draft in drafts:
        nonce = _nonce(draft)
        if nonce is not None and nonce in known:
            appended.append((known[nonce], False))
            continue
        last_seqs[draft.room] += 1
        message = _message(draft, new_id(), last_seqs[draft.room], sent_at)
        if nonce is not None:
            known[nonce] = message
        appended.append((message, True))
    return appended


def message_columns(table: sa.FromClause) -> list[sa.ColumnElement[Any]]:
    """The columns of a row for `message_of`, in its order."""
    return [table.c[name] for name in _COLUMNS]


def message_of(row: Sequence[Any]) -> Message:
    """The message of a row with `message_columns`, without reactions."""
    id_, seq, room, author_id, author_name, text, sent_at, nonce, reply_to, data, mentions, *changed = row
    author = Author(author_id, author_name)
    message = Message(id_, seq, room, author, text, iso(sent_at), nonce, reply_to, data, mentions)
    rev, edited_at, deleted_at, deleted_by = changed
    if rev is None:
        return message
    return replace(message, rev=rev, edited_at=_iso(edited_at), deleted_at=_iso(deleted_at), deleted_by=deleted_by)


async def _lock_rooms(connection: AsyncConnection, names: list[str], now: int) -> dict[str, int]:
    """Create missing rooms, lock all of them, and return the last number of each."""
    statement = insert_into(connection, rooms)
    locking = statement.on_conflict_do_update(
        index_elements=[rooms.c.room], set_={"last_seq": rooms.c.last_seq}
    ).returning(rooms.c.room, rooms.c.last_seq)
    rows = await connection.execute(locking, [{"room": name, "last_seq": 0, "active_at": now} for name in names])
    return {row.room: row.last_seq for row in rows}


async def _replayed(connection: AsyncConnection, drafts: Sequence[Draft]) -> dict[_Nonce, Message]:
    nonces = {nonce for draft in drafts if (nonce := _nonce(draft)) is not None}
    if not nonces:
        return {}
    columns = [messages.c.author_id, messages.c.room, messages.c.nonce]
    query = sa.select(*message_columns(messages)).where(matches(connection, columns, nonces))
    found = [message_of(row) for row in await connection.execute(query)]
    return {(m.from_.id, m.room, m.nonce): m for m in found if m.nonce is not None}


async def _advance_rooms(connection: AsyncConnection, last_seqs: dict[str, int], now: int) -> None:
    statement = (
        sa.update(rooms)
        .where(rooms.c.room == sa.bindparam("name"))
        .values(last_seq=sa.bindparam("last"), active_at=sa.bindparam("now"))
    )
    rows = [{"name": name, "last": last, "now": now} for name, last in sorted(last_seqs.items())]
    await connection.execute(statement, rows)


async def _open_rooms(connection: AsyncConnection, drafts: Sequence[Draft], now: int) -> None:
    """Make the users of `opens` members of the locked rooms. Authors are known by their name, others keep theirs."""
    authors: dict[tuple[str, str], dict[str, Any]] = {}
    others: dict[tuple[str, str], dict[str, Any]] = {}
    for draft in drafts:
        for member in draft.opens or ():
            row = {"room": draft.room, "user_id": member.id, "name": member.name, "joined_at": now}
            (authors if member.id == draft.author.id else others)[draft.room, member.id] = row
    statement = insert_into(connection, members)
    if authors:
        naming = statement.on_conflict_do_update(
            index_elements=[members.c.room, members.c.user_id], set_={"name": statement.excluded.name}
        )
        await connection.execute(naming, list(authors.values()))
    if others:
        await connection.execute(statement.on_conflict_do_nothing(), list(others.values()))


def _nonce(draft: Draft) -> _Nonce | None:
    return None if draft.nonce is None else (draft.author.id, draft.room, draft.nonce)


def _message(draft: Draft, id_: str, seq: int, sent_at: str) -> Message:
    return Message(
        id_,
        seq,
        draft.room,
        draft.author,
        draft.text,
        sent_at,
        nonce=draft.nonce,
        reply_to=draft.reply_to,
        data=draft.data,
        mentions=draft.mentions,
    )


def _row(message: Message, sent_at: int) -> dict[str, Any]:
    return {
        "room": message.room,
        "seq": message.seq,
        "id": message.id,
        "author_id": message.from_.id,
        "author_name": message.from_.name,
        **text_columns(message.text),
        "nonce": message.nonce,
        "reply_to": message.reply_to,
        "data": message.data,
        "mentions": message.mentions,
        "sent_at": sent_at,
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
