"""Changing messages: edits, deletions, reactions, and what the others are told.

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

    async def edit(self, me: Identity, where: Conversation, asked: EditPayload, *, but: str) -> Wire:
        """The message as it is now, also told to everybody but the socket `but`; the same of those below."""
        text = clean_text(asked.text, self._max_text)
        data = asked.data if asked.data is UNSET else clean_data(asked.data)
        mentions = await self._mentions.members(where.room, named_in(text, asked.mentions or ()))
        edit = Edit(where.room, asked.id, me.user, _any_author(me, where), text, data, mentions)
        changed, wire = await self._change(edit, where, "messageEdited", but)
        # An edit that changes nothing may be one repeated because its mentions could not be told.
        mentioned = changed.mentioned if changed.changed else changed.message.mentions
        if mentioned:
            await self._mentions.tell(changed.message, mentioned, me.user)
        return wire

    async def delete(self, me: Identity, where: Conversation, asked: DeletePayload, *, but: str) -> Wire:
        delete = Delete(where.room, asked.id, me.user, _any_author(me, where))
        changed, wire = await self._change(delete, where, "messageDeleted", but)
        await self._mentions.withdrawn(changed.withdrawn)
        return wire

    async def react(self, me: Identity, where: Conversation, asked: ReactPayload, *, but: str) -> Wire:
        """Tells the others of the reaction only, not of the whole message."""
        react = React(where.room, asked.id, me.user, clean_emoji(asked.emoji), asked.on)
        changed = await self._messages.change(react)
        wire: Wire = to_builtins(changed.message)
        if changed.changed:
            told = {name: wire[name] for name in ("room", "id", "seq", "rev")}
            told |= {"user": me.user, "emoji": react.emoji, "on": react.on, "reactions": wire.get("reactions", [])}
            await self._tell(where, but, "reaction", told)
        return wire

    async def _change(self, change: Change, where: Conversation, event: str, but: str) -> tuple[Changed, Wire]:
        changed = await self._messages.change(change)
        wire: Wire = to_builtins(changed.message)
        if changed.changed:  # see rule 1
            await self._tell(where, but, event, wire)
        return changed, wire

    async def _tell(self, where: Conversation, but: str, event: str, wire: Wire) -> None:
        await self._namespace.to(*where.audience).except_(but).emit(event, wire)


def _any_author(me: Identity, where: Conversation) -> bool:
    """In direct conversations nobody may change what others wrote."""
    return where.partner is None and me.has_any_role(MODERATORS)
