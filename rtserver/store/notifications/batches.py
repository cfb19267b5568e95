"""Notifications as they are asked for: several orders in one transaction, each with the key that it came under.

1. Keys are entered before inboxes are locked, so that two servers cannot wait for each other.
2. A key and what it asks for are committed together: after a crash there are both, or neither.
3. What is known to be refused before it is saved is refused alone. Any other refusal is that of all of them: nothing is
   saved and no key entered, and whoever gathered them tries again without the one at fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import Conflict, EventError, InvalidPayload
from rtserver.store.db.column_types import checked_key, checked_text, plain_json
from rtserver.store.ingest.idempotency import KeyedRequest, KnownKey, enter, same_body
from rtserver.store.notifications.records import Delivered, NotificationDraft

LARGEST = 500
"""Notifications in one transaction: more would keep others from their inboxes for long."""
_LAST_MOMENT = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000 + 999


class NotificationBatch(NamedTuple):
    """Notifications that are saved together or not at all. `asked`: the key that is entered with them."""

    drafts: list[NotificationDraft]
    asked: KeyedRequest | None = None


Outcome = list[Delivered] | KnownKey | EventError
"""The notification of each draft, or what the key was answered before, or why the order is refused."""

_Save = Callable[[list[NotificationDraft]], Awaitable[list[Delivered]]]


def checked_order(order: NotificationBatch) -> NotificationBatch | EventError:
    """The order as it will be read back, or why it is refused."""
    try:
        asked = order.asked and order.asked._replace(key=checked_key(order.asked.key))
        return NotificationBatch(list(map(checked_draft, order.drafts)), asked)
    except InvalidPayload as error:
        return error


def checked_draft(draft: NotificationDraft) -> NotificationDraft:
    """The draft as it will be read back; raises `InvalidPayload`."""
    if draft.expires_at is not None and not 0 < draft.expires_at <= _LAST_MOMENT:
        raise InvalidPayload("A notification must expire before the year 10000")
    return NotificationDraft(
        checked_key(draft.user),
        checked_key(draft.type),
        checked_text(draft.message),
        plain_json(draft.data),
        key=None if draft.key is None else checked_key(draft.key),
        group_key=None if draft.group_key is None else checked_key(draft.group_key),
        room=None if draft.room is None else checked_key(draft.room),
        expires_at=draft.expires_at,
        once=draft.once,
    )


async def save_batches(
    connection: AsyncConnection, orders: Sequence[NotificationBatch | EventError], save: _Save, now: int
) -> list[Outcome]:
    """What becomes of each, in order. Those that are refused already stay so."""
    going = await _enter(connection, orders, now)
    drafts = [draft for one in going if isinstance(one, NotificationBatch) for draft in one.drafts]
    saved = iter(await save(drafts) if drafts else ())
    return [list(islice(saved, len(one.drafts))) if isinstance(one, NotificationBatch) else one for one in going]


async def _enter(
    connection: AsyncConnection, orders: Sequence[NotificationBatch | EventError], now: int
) -> list[NotificationBatch | KnownKey | EventError]:
    asking = [one.asked for one in orders if isinstance(one, NotificationBatch) and one.asked is not None]
    known = iter(await enter(connection, asking, now) if asking else ())
    return [
        _standing(one, one.asked, next(known)) if isinstance(one, NotificationBatch) and one.asked is not None else one
        for one in orders
    ]


def _standing(
    order: NotificationBatch, asked: KeyedRequest, known: KnownKey
) -> NotificationBatch | KnownKey | EventError:
    """The order if it is to be carried out: again too, for it may have been cut short, and then does no harm."""
    try:
        same_body(known, asked)
    except Conflict as error:
        return error
    return order if known.answer is None else known
