"""Message posting: the one path of messages, whether they come from clients or from backends.

1. A message is committed, then broadcast. Nothing is awaited in between, and the store resumes the appends of a room in
   the order of `seq`: so one instance broadcasts a room in that order. Two instances may overtake each other; clients
   order by `seq`.
2. Mentions are delivered last. Until they are, the post is not complete: a repeat with its nonce delivers them.
3. Both users of a direct conversation are members of its room, so that `rooms` lists it for each. Members leave it only
   by erasure, so rooms already opened are cached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.structs import replace

from rtserver.errors import NotFound, RateLimited
from rtserver.ingest.commands import MessageRequest
from rtserver.namespaces.chat.content import clean_data, clean_text
from rtserver.namespaces.chat.conversation import Conversation, backend_conversation, direct_room, pair_of
from rtserver.namespaces.chat.interfaces import MentionNotifier, MessageStore, RoomStore
from rtserver.namespaces.chat.mentions import Mentions, named_in
from rtserver.rate_limit import Rate
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.records import Author, Draft, Member, Message


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
        *,
        max_text: int,
        mention_rate: Rate | None = None,
    ) -> None:
        self._namespace = namespace
        self._messages = messages
        self.direct_rooms = DirectRooms(rooms)
        self._max_text = max_text
        self.mentions = Mentions(messages, rooms, notifier, mention_rate)

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

    async def post_from_client(self, draft: Draft, where: Conversation, *, except_sid: str) -> Posted:
        """Post the message of a client; the socket `except_sid` gets the ack in place of the broadcast.

        Raises `RateLimited` for a user who mentions too many others.
        """
        ready = await self._prepare(self._clean(draft), where)
        counted = await self._count_mentions(ready)
        new = False
        try:
            posted = await self._save(ready, where, (except_sid,))
            new = posted.new
        finally:
            if not new:  # what failed will be repeated, and a repeat notifies nobody again
                self.mentions.give_back(draft.author.id, counted)
        return posted

    async def _count_mentions(self, draft: Draft) -> int:
        """Count the notifications that the message will cause; raises `RateLimited`, but not for a repeat."""
        try:
            return self.mentions.spend(draft.author.id, draft.mentions or ())
        except RateLimited:
            if await self._messages.knows(draft):
                return 0
            raise

    def _clean(self, draft: Draft) -> Draft:
        return replace(draft, text=clean_text(draft.text, self._max_text), data=clean_data(draft.data))

    async def _prepare(self, draft: Draft, where: Conversation) -> Draft:
        """Everything that needs a query: direct rooms, replies and mentions. Most messages need none."""
        if where.partner is not None:
            await self.direct_rooms.open(where.room, draft.author)
        if draft.reply_to is not None:
            await self._check_reply(draft.room, draft.reply_to)
        if draft.mentions or "@" in draft.text:
            named = named_in(draft.text, draft.mentions or ())
            return replace(draft, mentions=await self.mentions.members(draft.room, named))
        return draft

    async def _save(self, draft: Draft, where: Conversation, except_sids: tuple[str, ...]) -> Posted:
        message, new = await self._messages.append(draft)
        wire = to_builtins(message)
        if new:  # see rule 1
            await self._namespace.to(*where.audience).except_(*except_sids).emit("message", wire)
        if message.mentions:
            await self.mentions.notify(message, message.mentions, draft.author.id)
        return Posted(message, new, wire)

    async def _check_reply(self, room: str, id: str) -> None:
        if not await self._messages.has(room, id):
            raise NotFound("There is no such message to reply to", details={"field": "replyTo"})


MAX_OPENED = 10_000
"""Direct rooms in the cache; it is emptied when full."""


class DirectRooms:
    """Makes both users of a direct conversation members of its room.

    Members leave a direct room only by erasure, so rooms already opened are cached.
    """

    def __init__(self, rooms: RoomStore) -> None:
        self._rooms = rooms
        self._opened: set[str] = set()

    async def open(self, room: str, author: Author) -> None:
        """Make both users members of `room`; does nothing for a cached room. Raises `Unavailable`."""
        if room in self._opened:
            return
        for user in dict.fromkeys(pair_of(room) or ()):
            if user == author.id:
                await self._rooms.join(room, Member(id=user, name=author.name))
            elif not await self._rooms.is_member(room, user):
                # The name is known only from the user's own token; until then the id takes its place.
                await self._rooms.join(room, Member(id=user, name=user))
        if len(self._opened) >= MAX_OPENED:
            self._opened.clear()
        self._opened.add(room)

    def evict(self, user: str) -> None:
        """Drop the rooms of an erased user from the cache."""
        self._opened = {room for room in self._opened if user not in (pair_of(room) or ())}
