"""Message posting: the one path of messages, whether they come from clients or from backends.

1. A message is committed, then broadcast. Nothing is awaited in between, and the store resumes the appends of a room in
   the order of `seq`: so one instance broadcasts a room in that order. Two instances may overtake each other; clients
   order by `seq`.
2. Mentions are delivered last. Until they are, the post is not complete: a repeat with its nonce delivers them.
3. Both users of a direct conversation are members of its room, so that `rooms` lists it for each. They become members
   in the transaction of its first message: a message that is refused opens no conversation.
4. A client that the server has disconnected saves nothing more, whatever its handler was waiting for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.structs import replace

from rtserver.errors import NotFound
from rtserver.ingest.commands import MessageRequest
from rtserver.namespaces.chat.content import clean_data, clean_text
from rtserver.namespaces.chat.conversation import Conversation, backend_conversation, direct_room, pair_of
from rtserver.namespaces.chat.direct_rooms import DirectRooms
from rtserver.namespaces.chat.interfaces import MentionNotifier, MessageStore, RoomStore
from rtserver.namespaces.chat.mentions import Mentions, named_in
from rtserver.namespaces.identity import check_not_expelled
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.records import Author, Draft, Message


class Posted(NamedTuple):
    """`new` is False where the nonce was known; `message` is then the first one. `wire`: as clients see it."""

    message: Message
    new: bool
    wire: dict[str, Any]


class Poster:
    """`namespace` is the one that the users' clients are connected to: /chat."""

    def __init__(
        self,
        namespace: Namespace,
        messages: MessageStore,
        rooms: RoomStore,
        notifier: MentionNotifier | None,
        may_quote: Callable[[str], Awaitable[bool]],
        *,
        max_text: int,
    ) -> None:
        self._namespace = namespace
        self._messages = messages
        self.direct_rooms = DirectRooms(rooms)
        self._max_text = max_text
        self.mentions = Mentions(messages, rooms, notifier, may_quote)

    @staticmethod
    def draft_of(request: MessageRequest) -> Draft:
        """The draft of a backend's request. Its idempotency key becomes the nonce."""
        sender = request.from_
        return Draft(
            room=request.room if request.room is not None else direct_room(sender.id, request.to or ""),
            author=Author(sender.id, sender.name or sender.id),
            text=request.text,
            nonce=request.key,
            reply_to=request.reply_to,
            data=request.data,
            mentions=request.mentions,
        )

    async def post(self, drafts: Sequence[Draft]) -> list[tuple[Message, bool]]:
        """Post the messages of a backend; returns each message and whether it is new, in order.

        A room `dm:…` is a direct conversation. Raises the first error of any draft; others may be posted by then. With
        a nonce in each draft, repeating the call is safe.
        """
        cleaned = [self._clean(draft) for draft in drafts]
        places = [backend_conversation(draft.room) for draft in drafts]
        ready = [await self._prepare(draft, where) for draft, where in zip(cleaned, places, strict=True)]
        # Nothing is awaited before the store has queued them, so messages of one room are numbered in this order.
        saving = (self._save(draft, where, ()) for draft, where in zip(ready, places, strict=True))
        done = await asyncio.gather(*saving, return_exceptions=True)
        posted: list[tuple[Message, bool]] = []
        for one in done:
            if isinstance(one, BaseException):
                raise one
            posted.append((one.message, one.new))
        return posted

    async def post_from_client(self, draft: Draft, where: Conversation, client: Client) -> Posted:
        """Post the message of a client, which gets the ack in place of the broadcast."""
        ready = await self._prepare(self._clean(draft), where)
        check_not_expelled(client)
        return await self._save(ready, where, (client.id,))

    def _clean(self, draft: Draft) -> Draft:
        return replace(draft, text=clean_text(draft.text, self._max_text), data=clean_data(draft.data))

    async def _prepare(self, draft: Draft, where: Conversation) -> Draft:
        """Everything that needs a query, and the members of a new direct conversation. Most messages need nothing."""
        if where.partner is not None and (opens := self.direct_rooms.opening(where.room, draft.author)):
            draft = replace(draft, opens=opens)
        if draft.reply_to is not None:
            await self._check_reply(draft.room, draft.reply_to)
        if draft.mentions or "@" in draft.text:
            named = named_in(draft.text, draft.mentions or ())
            pair = pair_of(draft.room)  # nobody is a member before the first message
            if pair is not None:
                return replace(draft, mentions=[name for name in named if name in pair] or None)
            return replace(draft, mentions=await self.mentions.members(draft.room, named))
        return draft

    async def _save(self, draft: Draft, where: Conversation, except_sids: tuple[str, ...]) -> Posted:
        evictions = self.direct_rooms.evictions
        message, new = await self._messages.append(draft)
        wire = to_builtins(message)
        if new:  # see rule 1
            await self._namespace.to(*where.audience).except_(*except_sids).emit("message", wire)
        if draft.opens:
            self.direct_rooms.opened(draft.room, evictions)
        if message.mentions:
            await self.mentions.notify(message, message.mentions, draft.author.id)
        return Posted(message, new, wire)

    async def _check_reply(self, room: str, id: str) -> None:
        if not await self._messages.has(room, id):
            raise NotFound("There is no such message to reply to", details={"field": "replyTo"})
