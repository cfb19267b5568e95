"""Message changes: edits, deletions and reactions, and their broadcasts.

1. A change is committed, then broadcast, with no await in between: so one instance broadcasts the changes of a room in
   the order of `rev`. Clients drop a change whose `rev` is not above the one they have.
2. A change without effect is acked, but not broadcast. It may be the repeat of one that was not broadcast either:
   the instances compare what they have.
3. A client that the server has disconnected changes nothing more.
4. After a stall of this process an edit may be older than it looks: its user gave up, and edited the message through
   another server. It is saved only where the message was not edited meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import UNSET, to_builtins

from rtserver.errors import Unavailable
from rtserver.identity import Identity
from rtserver.namespaces.chat.access import MODERATORS
from rtserver.namespaces.chat.content import clean_data, clean_emoji, clean_text
from rtserver.namespaces.chat.conversation import Conversation
from rtserver.namespaces.chat.interfaces import MessageStore
from rtserver.namespaces.chat.mentions import Mentions, named_in
from rtserver.namespaces.chat.payloads import DeletePayload, EditPayload, ReactPayload
from rtserver.namespaces.delivery.room_delivery import RoomDelivery
from rtserver.namespaces.identity import check_not_expelled
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.changes import Change, Changed, Delete, Edit, React

Wire = dict[str, Any]
Stalled = Callable[[], tuple[int, int] | None]


def never_stalled() -> None:
    """The default of `Stalled`."""


class MessageChanges:
    """The events `edit`, `delete` and `react`, once access is checked."""

    def __init__(
        self,
        namespace: Namespace,
        messages: MessageStore,
        mentions: Mentions,
        delivery: RoomDelivery,
        *,
        max_text: int,
        stalled: Stalled,
    ) -> None:
        """`stalled()`: beginning and end of a stall of this process that ended a moment ago."""
        self._namespace = namespace
        self._messages = messages
        self._mentions = mentions
        self._delivery = delivery
        self._max_text = max_text
        self._stalled = stalled

    async def edit(self, me: Identity, where: Conversation, payload: EditPayload, client: Client) -> Wire:
        """Edit a message and return it as it is now. All sockets but `client` get the broadcast, here and below.

        Raises `NotFound`, `Forbidden`, `InvalidPayload`, `Unavailable`; `Conflict` for a message that is deleted or has
        changed since; `RateLimited` for a user who mentions too many others.
        """
        waited = self._stalled()
        text = clean_text(payload.text, self._max_text)
        data = payload.data if payload.data is UNSET else clean_data(payload.data)
        mentions = await self._mentions.members(where.room, named_in(text, payload.mentions or ()))
        edit = Edit(
            where.room, payload.id, me.user, _any_author(me, where), text, data, mentions,
            seen=payload.rev, waited=waited,
        )  # fmt: skip
        known = await self._messages.mentions_of(where.room, payload.id) if mentions else []
        counted, caused = self._mentions.spend(me.user, set(mentions or ()).difference(known)), 0
        try:
            changed, wire = await self._change(edit, where, "messageEdited", client)
            caused = sum(user != me.user for user in changed.mentioned)
        finally:
            self._mentions.give_back(me.user, max(0, counted - caused))
        # An edit without effect may be the repeat of one whose mentions could not be notified.
        mentioned = changed.mentioned if changed.changed else changed.message.mentions
        if mentioned:
            await self._mentions.notify(changed.message, mentioned, me.user)
        return wire

    async def delete(self, me: Identity, where: Conversation, payload: DeletePayload, client: Client) -> Wire:
        """Delete a message and return its tombstone; its mention notifications are deleted too."""
        delete = Delete(where.room, payload.id, me.user, _any_author(me, where))
        changed, wire = await self._change(delete, where, "messageDeleted", client)
        await self._mentions.announce_deleted(changed.removed)
        return wire

    async def react(self, me: Identity, where: Conversation, payload: ReactPayload, client: Client) -> Wire:
        """Add or remove a reaction and return the message. The broadcast carries only the reaction."""
        react = React(where.room, payload.id, me.user, clean_emoji(payload.emoji), payload.on)
        check_not_expelled(client)
        changed = await self._commit(react)
        wire: Wire = to_builtins(changed.message)
        if changed.changed:
            reaction = {name: wire[name] for name in ("room", "id", "seq", "rev")}
            reaction |= {"user": me.user, "emoji": react.emoji, "on": react.on}
            reaction["reactions"] = wire.get("reactions", [])
            await self._broadcast(where, client, "reaction", reaction)
        else:
            await self._repeat(where, wire)
        return wire

    async def _change(self, change: Change, where: Conversation, event: str, client: Client) -> tuple[Changed, Wire]:
        check_not_expelled(client)
        changed = await self._commit(change)
        wire: Wire = to_builtins(changed.message)
        if changed.changed:  # see rule 1
            await self._broadcast(where, client, event, wire)
        else:
            await self._repeat(where, wire)
        return changed, wire

    async def _commit(self, change: Change) -> Changed:
        try:
            return await self._messages.change(change)
        except (Unavailable, asyncio.CancelledError):
            self._delivery.uncertain(change.room)
            raise

    async def _repeat(self, where: Conversation, wire: Wire) -> None:
        """It was made before; perhaps by an instance that died before the broadcast."""
        if "rev" in wire:
            await self._delivery.repeat_change(where.room, wire["rev"])

    async def _broadcast(self, where: Conversation, client: Client, event: str, wire: Wire) -> None:
        self._delivery.sent(event, wire, where.audience)
        await self._namespace.to(*where.audience).except_(client.id).emit(event, wire)


def _any_author(me: Identity, where: Conversation) -> bool:
    """Whether the user may change messages of others: moderators, but not in direct conversations."""
    return where.partner is None and me.has_any_role(MODERATORS)
