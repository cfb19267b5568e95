"""Sync: what a returning client has missed, in all its rooms with one call.

The steps, each for all rooms of the call: resolve the names, enter the rooms, read what was missed.

1. The state of a room (`last_seq`, `rev`) is read before its messages and changes. An event that happens in between
   may arrive twice, but is never missed. For the same reason the socket joins before the state is read.
2. A call is bounded: rooms by its payload, messages by `TOTAL` and by the bytes that an answer may have. A room with
   unread rest is marked with `more`. A message that alone exceeds the bytes goes in an answer of its own.
3. A room that is refused gets `{"error": …}`; the others are answered all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import to_builtins

from rtserver.answer_size import ANSWER_BYTES, size_of
from rtserver.errors import EventError, RoomNotJoined
from rtserver.identity import Identity
from rtserver.namespaces.chat.access import Access
from rtserver.namespaces.chat.conversation import Conversation, named_conversation
from rtserver.namespaces.chat.interfaces import MessageStore, RoomStore
from rtserver.namespaces.chat.payloads import Position, SyncPayload
from rtserver.namespaces.delivery.room_delivery import RoomDelivery
from rtserver.sio.client.client import Client
from rtserver.store.db.column_types import checked_key
from rtserver.store.messages.records import Message, ReadState

TOTAL = 1000
"""Messages in one answer, new and changed ones together."""
ROOM_BYTES = 130
"""Bytes of a room's part of the answer beside its name and its messages."""

NEW_ROOM = ReadState("", 0, 1, 0, 0, 0, 0, member=False)
"""The state of a room that has no row yet."""

_Answers = dict[str, dict[str, Any]]
"""By the name that the client gave: what was missed, or `{"error": …}`."""


class _Room(NamedTuple):
    """A room of the call: its name as the client gave it, what it means, and the client's position in it."""

    name: str
    where: Conversation
    position: int | Position


class _Budget:
    """What one call may still read: `total` messages in all, `per_room` in a room, and `size` bytes."""

    def __init__(self, total: int, per_room: int, size: int) -> None:
        self._total, self._left = total, total
        self._per_room = per_room
        self.size = size

    @property
    def for_room(self) -> int:
        return min(self._left, self._per_room) if self.size > 0 else 0

    @property
    def untouched(self) -> bool:
        """Whether no message was read yet: the first one goes, whatever its size."""
        return self._left == self._total

    def spend(self, messages: Sequence[Message], limit: int, *, more: bool) -> None:
        """Count a page that may have had `limit` messages. `more`: it did not end at the end of the room."""
        self._left -= len(messages)
        ended_at_bytes = more and len(messages) < limit
        self.size = 0 if ended_at_bytes else self.size - size_of(messages)


class RoomSync:
    """The event `sync`, and the read state that `join` returns."""

    def __init__(self, messages: MessageStore, rooms: RoomStore, access: Access, delivery: RoomDelivery) -> None:
        self._messages = messages
        self._rooms = rooms
        self._access = access
        self._delivery = delivery

    async def sync(self, client: Client, me: Identity, payload: SyncPayload) -> dict[str, Any]:
        """What was missed, by room; see `docs/events.md` for the shape. Raises `Unavailable`."""
        rooms, invalid = _resolve(payload, me)
        states = await self._read_states(me, rooms)
        entered, refused = await self._enter(client, me, rooms, states, join=payload.join)
        if payload.join:  # rule 1: the states above are older than the joins
            states = await self._read_states(me, entered)
        answers: _Answers = {**invalid, **refused}
        room_for_messages = ANSWER_BYTES - size_of(answers) - sum(ROOM_BYTES + size_of(room.name) for room in entered)
        missed = await self._read(client, entered, states, _Budget(TOTAL, payload.limit, max(1, room_for_messages)))
        return answers | missed

    async def read_state(self, client: Client, me: Identity, where: Conversation) -> ReadState:
        """The user's state in a room that the socket has just joined.

        Raises `RoomNotJoined` when the membership ended meanwhile.
        """
        states = await self._rooms.read_states(me.user, [where.room])
        state = await _still_in(client, where, states.get(where.room, NEW_ROOM))
        self._note_entry(where, state)
        return state

    def _note_entry(self, where: Conversation, state: ReadState) -> None:
        """Note how far the room was when the client, which is in it now, read its state."""
        if where.partner is None:
            self._delivery.entered(where.room, state.last_seq, state.rev)

    async def _read_states(self, me: Identity, rooms: Iterable[_Room]) -> dict[str, ReadState]:
        return await self._rooms.read_states(me.user, [room.where.room for room in rooms])

    async def _enter(
        self, client: Client, me: Identity, rooms: Sequence[_Room], states: dict[str, ReadState], *, join: bool
    ) -> tuple[list[_Room], _Answers]:
        """The rooms that the client may read, joined where `join` says so, and the refusals of the others."""
        entered: list[_Room] = []
        refused: _Answers = {}
        for room in rooms:
            try:
                await self._enter_room(client, me, room.where, states.get(room.where.room, NEW_ROOM), join=join)
            except EventError as error:
                refused[room.name] = _refusal(error)
            else:
                entered.append(room)
        return entered, refused

    async def _enter_room(
        self, client: Client, me: Identity, where: Conversation, state: ReadState, *, join: bool
    ) -> None:
        if where.partner is not None:
            return
        if where.room in client.rooms:
            await self._access.check_role(client, where.room)
            return
        if not state.member:
            raise RoomNotJoined()
        await self._access.check_join(client, me, where.room)
        if join:
            await self._access.enter(client, where.room)

    async def _read(
        self, client: Client, rooms: Sequence[_Room], states: dict[str, ReadState], budget: _Budget
    ) -> _Answers:
        """What was missed in each room, while the budget lasts."""
        answers: _Answers = {}
        for room in rooms:
            try:
                state = await _still_in(client, room.where, states.get(room.where.room, NEW_ROOM))
            except RoomNotJoined as error:
                answers[room.name] = _refusal(error)
                continue
            if room.where.room in client.rooms:
                self._note_entry(room.where, state)
            answers[room.name] = await self._missed(room.where.room, state, room.position, budget)
        return answers

    async def _missed(self, room: str, state: ReadState, position: int | Position, budget: _Budget) -> dict[str, Any]:
        seq, rev = (position.seq, position.rev) if isinstance(position, Position) else (position, None)
        changed: list[Message] = []
        messages: list[Message] = []
        more_changed, more = False, state.last_seq > seq
        limit = budget.for_room
        if rev is not None and state.rev > rev:
            more_changed = True
            if limit > 0:
                changed, more_changed = await self._messages.changed(
                    room, rev=rev, upto=seq, limit=limit, size=budget.size, oversized=budget.untouched
                )
                budget.spend(changed, limit, more=more_changed)
        limit = min(budget.for_room, limit - len(changed))
        if more and limit > 0:
            messages, more = await self._messages.history(
                room, before=None, after=seq, limit=limit, size=budget.size, oversized=budget.untouched
            )
            budget.spend(messages, limit, more=more)
        return {
            "messages": to_builtins(messages),
            "changed": to_builtins(changed),
            "more": more or more_changed,
            "lastSeq": state.last_seq,
            "rev": (changed[-1].rev if changed else rev) if more_changed else state.rev,
            "firstSeq": state.first_seq,
            "unread": state.unread,
            "lastRead": state.last_read,
        }


def _resolve(payload: SyncPayload, me: Identity) -> tuple[list[_Room], _Answers]:
    """The rooms of the call, and the refusals of names that are not valid. Pure."""
    rooms: list[_Room] = []
    invalid: _Answers = {}
    for name, position in payload.rooms.items():
        try:
            where = named_conversation(name, me.user)
            checked_key(where.room)
        except EventError as error:
            invalid[name] = _refusal(error)
        else:
            rooms.append(_Room(name, where, position))
    return rooms, invalid


async def _still_in(client: Client, where: Conversation, state: ReadState) -> ReadState:
    """The state itself. A user who was removed before the socket joined would stay in: take the socket out here."""
    if where.partner is None and not state.member:
        await client.leave(where.room)
        raise RoomNotJoined()
    return state


def _refusal(error: EventError) -> dict[str, Any]:
    return {"error": error.payload()}
