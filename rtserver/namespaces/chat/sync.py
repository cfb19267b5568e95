"""What a client that comes back has missed, in all its rooms at once.

1. How far a room has come is read before its messages and changes: what happens meanwhile may be told twice, and is
   missed by nobody. For the same reason the socket joins before anything is read.
2. A call is bounded: rooms by its payload, messages by `TOTAL` in all. Whatever was left out says `more`.
"""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from rtserver.errors import EventError, RoomNotJoined
from rtserver.identity import Identity
from rtserver.namespaces.chat.access import Access
from rtserver.namespaces.chat.conversation import Conversation, named
from rtserver.namespaces.chat.interfaces import MessageStore, RoomStore
from rtserver.namespaces.chat.payloads import Known, SyncPayload
from rtserver.sio.client.client import Client
from rtserver.store.db.column_types import checked_key
from rtserver.store.messages.records import Message, Standing

TOTAL = 1000
"""Messages in one answer, new and changed ones together."""

NEW_ROOM = Standing("", 0, 1, 0, 0, 0, 0, member=False)


class RoomSync:
    def __init__(self, messages: MessageStore, rooms: RoomStore, access: Access) -> None:
        self._messages = messages
        self._rooms = rooms
        self._access = access

    async def sync(self, client: Client, me: Identity, asked: SyncPayload) -> dict[str, Any]:
        """For each room what was missed, or `{"error": …}`."""
        told: dict[str, Any] = {}
        places: dict[str, Conversation] = {}
        for room in asked.rooms:
            try:
                places[room] = _place(room, me)
            except EventError as error:
                told[room] = _refusal(error)
        standings = await self._rooms.standings(me.user, [where.room for where in places.values()])
        for room, where in list(places.items()):
            try:
                await self._enter(client, me, where, standings.get(where.room, NEW_ROOM), join=asked.join)
            except EventError as error:
                told[room] = _refusal(error)
                del places[room]
        if asked.join:  # see rule 1
            standings = await self._rooms.standings(me.user, [where.room for where in places.values()])
        left = TOTAL
        for room, where in places.items():
            try:
                standing = await _still_in(client, where, standings.get(where.room, NEW_ROOM))
            except RoomNotJoined as error:
                told[room] = _refusal(error)
                continue
            told[room] = missed = await self._missed(where.room, standing, asked.rooms[room], min(left, asked.limit))
            left -= len(missed["messages"]) + len(missed["changed"])
        return told

    async def standing(self, client: Client, me: Identity, where: Conversation) -> Standing:
        """How somebody stands where the socket has just been put; raises `RoomNotJoined` for who is out again."""
        standings = await self._rooms.standings(me.user, [where.room])
        return await _still_in(client, where, standings.get(where.room, NEW_ROOM))

    async def _enter(
        self, client: Client, me: Identity, where: Conversation, standing: Standing, *, join: bool
    ) -> None:
        if where.partner is not None:
            return
        if where.room in client.rooms:
            await self._access.check_role(client, where.room)
            return
        if not standing.member:
            raise RoomNotJoined()
        await self._access.check_join(client, me, where.room)
        if join:
            await client.join(where.room)
            await self._access.check_role(client, where.room)  # it may have become another one meanwhile

    async def _missed(self, room: str, standing: Standing, known: int | Known, limit: int) -> dict[str, Any]:
        seq, rev = (known.seq, known.rev) if isinstance(known, Known) else (known, None)
        changed: list[Message] = []
        messages: list[Message] = []
        more_changed, more = False, standing.last_seq > seq
        if rev is not None and standing.rev > rev:
            more_changed = True
            if limit > 0:
                changed, more_changed = await self._messages.changed(room, rev=rev, upto=seq, limit=limit)
        if more and limit > len(changed):
            messages, more = await self._messages.history(room, before=None, after=seq, limit=limit - len(changed))
        return {
            "messages": to_builtins(messages),
            "changed": to_builtins(changed),
            "more": more or more_changed,
            "lastSeq": standing.last_seq,
            "rev": (changed[-1].rev if changed else rev) if more_changed else standing.rev,
            "firstSeq": standing.first_seq,
            "unread": standing.unread,
            "lastRead": standing.last_read,
        }


async def _still_in(client: Client, where: Conversation, standing: Standing) -> Standing:
    """Whoever was taken out before the socket was in the room did not take the socket along."""
    if where.partner is None and not standing.member:
        await client.leave(where.room)
        raise RoomNotJoined()
    return standing


def _place(room: str, me: Identity) -> Conversation:
    where = named(room, me.user)
    checked_key(where.room)
    return where


def _refusal(error: EventError) -> dict[str, Any]:
    return {"error": error.payload()}
