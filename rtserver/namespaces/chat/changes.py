"""Changing messages: edits, deletions, reactions, and what the others are reaction.

1. A change is committed, then broadcast, with nothing awaited between: so one instance broadcasts the changes of a room
   in the order of `rev`. Clients drop one whose `rev` is not above the one they have.
2. A change that changes nothing is acked and not broadcast.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, to_builtins

from rtserver.identity import Identity
from rtserver.namespaces.chat.access import MODERATORS
from rtserver.namespaces.chat.content import clean_data, clean_emoji, clean_text
from rtserver.namespaces.chat.conversation import Conversation
from rtserver.namespaces.chat.interfaces import MessageStore
from rtserver.namespaces.chat.mentions import Mentions, named_in
from rtserver.namespaces.chat.payloads import DeletePayload, EditPayload, ReactPayload
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.changes import Change, Changed, Delete, Edit, React

Wire = dict[str, Any]


class MessageChanges:
    def __init__(self, namespace: Namespace, messages: MessageStore, mentions: Mentions, *, max_text: int) -> None:
        self._namespace = namespace
        self._messages = messages
        self._mentions = mentions
        self._max_text = max_text

    async def edit(self, me: Identity, where: Conversation, payload: EditPayload, *, except_sid: str) -> Wire:
        """The message as it is now, also reaction to everybody but the socket `except_sid`; the same of those below."""
        text = clean_text(payload.text, self._max_text)
        data = payload.data if payload.data is UNSET else clean_data(payload.data)
        mentions = await self._mentions.members(where.room, named_in(text, payload.mentions or ()))
        edit = Edit(where.room, payload.id, me.user, _any_author(me, where), text, data, mentions)
        changed, wire = await self._change(edit, where, "messageEdited", except_sid)
        # An edit that changes nothing may be one repeated because its mentions could not be reaction.
        mentioned = changed.mentioned if changed.changed else changed.message.mentions
        if mentioned:
            await self._mentions.notify(changed.message, mentioned, me.user)
        return wire

    async def delete(self, me: Identity, where: Conversation, payload: DeletePayload, *, except_sid: str) -> Wire:
        delete = Delete(where.room, payload.id, me.user, _any_author(me, where))
        changed, wire = await self._change(delete, where, "messageDeleted", except_sid)
        await self._mentions.announce_deleted(changed.removed)
        return wire

    async def react(self, me: Identity, where: Conversation, payload: ReactPayload, *, except_sid: str) -> Wire:
        """Tells the others of the reaction only, not of the whole message."""
        react = React(where.room, payload.id, me.user, clean_emoji(payload.emoji), payload.on)
        changed = await self._messages.change(react)
        wire: Wire = to_builtins(changed.message)
        if changed.changed:
            reaction = {name: wire[name] for name in ("room", "id", "seq", "rev")}
            reaction |= {"user": me.user, "emoji": react.emoji, "on": react.on, "reactions": wire.get("reactions", [])}
            await self._broadcast(where, except_sid, "reaction", reaction)
        return wire

    async def _change(self, change: Change, where: Conversation, event: str, except_sid: str) -> tuple[Changed, Wire]:
        changed = await self._messages.change(change)
        wire: Wire = to_builtins(changed.message)
        if changed.changed:  # see rule 1
            await self._broadcast(where, except_sid, event, wire)
        return changed, wire

    async def _broadcast(self, where: Conversation, except_sid: str, event: str, wire: Wire) -> None:
        await self._namespace.to(*where.audience).except_(except_sid).emit(event, wire)


def _any_author(me: Identity, where: Conversation) -> bool:
    """In direct conversations nobody may change what others wrote."""
    return where.partner is None and me.has_any_role(MODERATORS)
