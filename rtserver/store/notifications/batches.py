"""Notification batches: several requests saved in one transaction, each with its idempotency key.

`Notifications.save_batches` runs the transaction in this order:

    enter_keys            enter the keys; a batch with a known key is answered or refused here
    insert_notifications  lock the inboxes, insert the notifications of the remaining batches
    outcomes_of           give each batch its share of the result
    (commit)

1. Keys are entered before inboxes are locked, so that two servers cannot wait for each other.
2. A key and its notifications are committed together: after a crash both are there, or neither.
3. A batch that is refused before the insertion is refused alone. Any later error fails all batches: nothing is saved
   and no key is entered. The caller (the group writer) then repeats the batches without the faulty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import Conflict, EventError, InvalidPayload
from rtserver.store.db.column_types import checked_key, checked_text, plain_json
from rtserver.store.ingest.idempotency import KeyedRequest, KnownKey, enter, same_body
from rtserver.store.notifications.records import Delivered, NotificationDraft

LARGEST = 500
"""Notifications in one transaction. A larger one would lock its inboxes for too long."""
_LAST_MOMENT = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000 + 999


class NotificationBatch(NamedTuple):
    """Notifications that are saved together or not at all. `request`: the idempotency key entered with them."""

    drafts: list[NotificationDraft]
    request: KeyedRequest | None = None


Outcome = list[Delivered] | KnownKey | EventError
"""The notifications of a batch, one per draft; or what its key was answered before; or why it is refused."""

Entered = NotificationBatch | KnownKey | EventError
"""A batch after its key was entered: still to be saved, or already answered, or refused."""


def checked_batch(batch: NotificationBatch) -> NotificationBatch | EventError:
    """The batch as the database will return it, or the reason of its refusal."""
    try:
        request = batch.request and batch.request._replace(key=checked_key(batch.request.key))
        return NotificationBatch(list(map(checked_draft, batch.drafts)), request)
    except InvalidPayload as error:
        return error


def checked_draft(draft: NotificationDraft) -> NotificationDraft:
    """The draft as the database will return it; raises `InvalidPayload`."""
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
        one_webhook=draft.one_webhook,
    )


async def enter_keys(
    connection: AsyncConnection, batches: Sequence[NotificationBatch | EventError], now: int
) -> list[Entered]:
    """Enter the keys of all batches, in one statement. Returns one item per batch, in order; errors stay errors."""
    requests = [one.request for one in batches if isinstance(one, NotificationBatch) and one.request is not None]
    known = iter(await enter(connection, requests, now) if requests else ())
    return [
        _entered(one, one.request, next(known))
        if isinstance(one, NotificationBatch) and one.request is not None
        else one
        for one in batches
    ]


def drafts_of(entered: Sequence[Entered]) -> list[NotificationDraft]:
    """The drafts of all batches that are still to be saved, in order."""
    return [draft for one in entered if isinstance(one, NotificationBatch) for draft in one.drafts]


def outcomes_of(entered: Sequence[Entered], saved: Sequence[Delivered]) -> list[Outcome]:
    """The outcome of each batch. `saved` has one item per draft of `drafts_of(entered)`, in the same order."""
    rest = iter(saved)
    return [list(islice(rest, len(one.drafts))) if isinstance(one, NotificationBatch) else one for one in entered]


def _entered(batch: NotificationBatch, request: KeyedRequest, known: KnownKey) -> Entered:
    """The batch, where it is to be saved.

    Also where the key is known without an answer: the earlier attempt may have been cut short, and saving is
    idempotent.
    """
    try:
        same_body(known, request)
    except Conflict as error:
        return error
    return batch if known.answer is None else known
