"""Message posting: the one path of messages, whether they come from clients or from backends.

1. A message is committed, then broadcast. Nothing is awaited in between, and the store resumes the appends of a room in
   the order of `seq`: so one instance broadcasts a room in that order. Two instances may overtake each other; clients
   order by `seq`.
2. Mentions are delivered last. Until they are, the post is not complete: a repeat with its nonce delivers them.
3. A repeat may be of a message that was saved by an instance that died before the broadcast: `RoomDelivery` compares.
4. Both users of a direct conversation are members of its room, so that `rooms` lists it for each. They become members
   in the transaction of its first message: a message that is refused opens no conversation.
5. A client that the server has disconnected saves nothing more, whatever its handler was waiting for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.structs import replace

from rtserver.errors import NotFound, RateLimited, Unavailable
from rtserver.ingest.commands import MessageRequest
from rtserver.namespaces.chat.content import clean_data, clean_text
from rtserver.namespaces.chat.conversation import Conversation, backend_conversation, direct_room, pair_of
from rtserver.namespaces.chat.interfaces import MentionNotifier, MessageStore, RoomStore
from rtserver.namespaces.chat.mentions import Mentions, named_in
from rtserver.namespaces.delivery.room_delivery import RoomDelivery
from rtserver.namespaces.identity import check_not_expelled
from rtserver.rate_limit import Rate
from rtserver.sio.client.client import Client
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
        may_quote: Callable[[str], Awaitable[bool]],
        delivery: RoomDelivery,
        *,
        max_text: int,
        mention_rate: Rate | None = None,
    ) -> None:
        self._namespace = namespace
        self._messages = messages
        self._delivery = delivery
        self.direct_rooms = DirectRooms(rooms)
        self._max_text = max_text
        self.mentions = Mentions(messages, rooms, notifier, may_quote, mention_rate)

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
        """Post the message of a client, which gets the ack in place of the broadcast.

        Raises `RateLimited` for a user who mentions too many others.
        """
        ready = await self._prepare(self._clean(draft), where)
        counted = await self._count_mentions(ready)
        new = False
        try:
            check_not_expelled(client)
            posted = await self._save(ready, where, (client.id,))
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
        try:
            message, new = await self._messages.append(draft)
        except (Unavailable, asyncio.CancelledError):
            self._delivery.uncertain(draft.room)
            raise
        wire = to_builtins(message)
        if new:  # see rule 1
            self._delivery.sent("message", wire, where.audience)
            await self._namespace.to(*where.audience).except_(*except_sids).emit("message", wire)
        else:
            await self._delivery.repeat(wire, where.audience, except_sids)
        if draft.opens:
            self.direct_rooms.opened(draft.room, evictions)
        if message.mentions:
            await self.mentions.notify(message, message.mentions, draft.author.id)
        return Posted(message, new, wire)

    async def _check_reply(self, room: str, id: str) -> None:
        if not await self._messages.has(room, id):
            raise NotFound("There is no such message to reply to", details={"field": "replyTo"})


MAX_CACHED = 10_000
"""Direct rooms in the cache; it is emptied when full."""


class DirectRooms:
    """Which direct conversations have begun. Cached, until one of the users is erased.

    Before its first message, nothing that one user does in a conversation is told to the other; only typing is, between
    users who share a room. Members leave a direct room only by erasure: a user who comes back after it is a stranger to
    the old conversation. `evictions` counts calls of `evict`: what was read before one of them is not cached after it.
    """

    def __init__(self, rooms: RoomStore) -> None:
        self._rooms = rooms
        self._begun: set[str] = set()
        self.evictions = 0

    def opening(self, room: str, author: Author) -> list[Member] | None:
        """The users to be made members with a message of `author`; None where the room is known to have begun.

        The name of the other user is known only from that user's token; until then the id takes its place.
        """
        if room in self._begun:
            return None
        users = dict.fromkeys(pair_of(room) or ())
        return [Member(id=user, name=author.name if user == author.id else user) for user in users]

    def opened(self, room: str, evictions: int) -> None:
        """Both users are members. `evictions`: their number before this was read or written."""
        if evictions == self.evictions:
            if len(self._begun) >= MAX_CACHED:
                self._begun.clear()
            self._begun.add(room)

    async def has_begun(self, room: str) -> bool:
        """Whether both users are members of the direct room. Raises `Unavailable`."""
        if room in self._begun:
            return True
        evictions, pair = self.evictions, pair_of(room) or ()
        begun = len(await self._rooms.members_among(room, pair)) == len(set(pair))
        if begun:
            self.opened(room, evictions)
        return begun

    async def are_strangers(self, room: str) -> bool:
        """Whether the users of the direct room have neither begun it nor share another room. Raises `Unavailable`."""
        pair = pair_of(room)
        return pair is not None and not (await self.has_begun(room) or await self._rooms.have_common_room(*pair))

    def evict(self, user: str) -> None:
        """Drop the rooms of an erased user from the cache."""
        self.evictions += 1
        self._begun = {room for room in self._begun if user not in (pair_of(room) or ())}
