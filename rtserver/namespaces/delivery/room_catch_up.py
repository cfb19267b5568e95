"""Catch-up of rooms: delivers to the clients of this instance what the database has and they have not.

1. One query names the last numbers of many rooms; only rooms that are behind cost a second one.
2. What is behind is compared again after `SETTLE` seconds: a broadcast that is on its way needs no help.
3. Messages are delivered by rising `seq`, then changes by rising `rev`, as `messageEdited` or `messageDeleted` with the
   message as it is now: a reaction is in it.
4. At most `MOST` messages of a room are delivered; the rest is counted as dropped. Clients see the gap, and fetch it.
5. Of a room whose past is unknown (rule 2 of `room_delivery`), what was saved since the fault began is delivered, to
   the clients that were connected then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import to_builtins

from rtserver.clock import from_iso
from rtserver.errors import EventError
from rtserver.namespaces.delivery.interfaces import MessageReader, RoomHeadStore
from rtserver.namespaces.delivery.positions import Positions
from rtserver.namespaces.delivery.reconciler import SKEW, batches, recent
from rtserver.namespaces.delivery.room_delivery import MESSAGE, RoomDelivery
from rtserver.store.messages.records import Message
from rtserver.store.rooms.room_heads import RoomHead
from rtserver.tasks import Tasks

ROOMS = 500
USERS = 200
"""Names in one query."""
PAGE = 100
MOST = 500
SETTLE = 0.5


class RoomCatchUp:
    """`dropped(reason)` counts a message that was not delivered."""

    def __init__(
        self, delivery: RoomDelivery, heads: RoomHeadStore, messages: MessageReader, dropped: Callable[[str], None]
    ) -> None:
        self._delivery = delivery
        self._heads = heads
        self._messages = messages
        self._dropped = dropped
        self._tasks = Tasks()
        delivery.check = lambda rooms, tell: self._tasks.spawn(self._check(rooms, tell))

    async def stop(self) -> None:
        """End the checks that are running."""
        self._delivery.close()
        await self._tasks.finish(0)

    async def run(self, since: int) -> None:
        """Catch up in all rooms. `since`: milliseconds, see rule 5. Raises `Unavailable`."""
        joined, users = self._delivery.present()
        behind: dict[str, RoomHead] = {}
        for names in batches([*joined, *self._delivery.direct_rooms()], ROOMS):
            behind |= self._behind((await self._heads.of(names)).values(), since)
        for named in batches(users, USERS):
            behind |= self._behind((await self._heads.active_direct(named, since)).values(), since)
        await self._deliver(behind, since)

    async def _check(self, rooms: Sequence[str], tell: Sequence[str]) -> None:
        """Catch up in a few rooms that are in doubt, later if the database is away."""
        since = recent()
        try:
            for names in batches(rooms, ROOMS):
                heads = await self._heads.of(names)
                await self._deliver(self._behind(heads.values(), since), since)
                for room in {*tell} & heads.keys():
                    await self._delivery.tell_peers(room, heads[room].last_seq, heads[room].last_rev)
        except EventError:
            self._delivery.postpone(rooms, tell)

    def _behind(self, heads: Iterable[RoomHead], since: int) -> dict[str, RoomHead]:
        return {head.room: head for head in heads if self._is_behind(head, since)}

    def _is_behind(self, head: RoomHead, since: int) -> bool:
        messages, changes = self._delivery.messages.get(head.room), self._delivery.changes.get(head.room)
        if messages is None:
            return head.active_at >= since
        if messages.top < head.last_seq or (messages.first and head.active_at >= since):
            return True
        return head.last_rev > (0 if changes is None else changes.top)

    async def _deliver(self, behind: dict[str, RoomHead], since: int) -> None:
        if not behind:
            return
        early = {room: self._delivery.messages.beyond_holes(room) for room in behind}
        early_changes = {room: self._delivery.changes.beyond_holes(room) for room in behind}
        await asyncio.sleep(SETTLE)
        for room, head in behind.items():
            try:
                audience = self._delivery.audience_of(room)
            except EventError:
                continue
            if self._delivery.is_here(audience):
                told = await self._deliver_messages(head, audience, since)
                await self._deliver_changes(head, audience, told, since)
                self._settle(self._delivery.messages, room, head.last_seq, early[room])
                self._settle(self._delivery.changes, room, head.last_rev, early_changes[room])

    def _settle(self, positions: Positions, room: str, last: int, early: frozenset[int]) -> None:
        if room in positions or (positions is self._delivery.changes and last and room in self._delivery.messages):
            positions.settle(room, last, early)

    async def _deliver_messages(self, head: RoomHead, audience: Sequence[str], since: int) -> set[int]:
        """Deliver new messages and return their numbers."""
        told: set[int] = set()
        track = self._delivery.messages.get(head.room)
        if track is None or track.first:
            page, _ = await self._messages.history(head.room, before=None, after=None, limit=PAGE)
            for message in page:
                saved_at = from_iso(message.sent_at)
                if saved_at >= since and message.seq <= head.last_seq:
                    late = self._delivery.late_clients(audience, saved_at + SKEW)
                    await self._deliver_message(message, audience, late, told)
            return told
        after, more = track.top, track.top < head.last_seq
        while more and len(told) < MOST:
            page, more = await self._messages.history(head.room, before=None, after=after, limit=PAGE)
            for message in page:
                if message.seq <= head.last_seq:
                    await self._deliver_message(message, audience, (), told)
            after = page[-1].seq if page else head.last_seq
            more &= after < head.last_seq
        for _ in range(after, head.last_seq if more else after):
            self._dropped("catch_up")
        return told

    async def _deliver_message(
        self, message: Message, audience: Sequence[str], late: Sequence[str], told: set[int]
    ) -> None:
        if self._delivery.messages.note(message.room, message.seq):
            told.add(message.seq)
            await self._delivery.emit_here(MESSAGE, to_builtins(message), audience, late)

    async def _deliver_changes(
        self, head: RoomHead, audience: Sequence[str], told: Collection[int], since: int
    ) -> None:
        """Deliver changes of messages, but not of those that were `told` just now."""
        track, messages = self._delivery.changes.get(head.room), self._delivery.messages.get(head.room)
        # Of a message that was delivered here, every change is missing while none is noted.
        known = 0 if track is not None or messages is None else messages.first
        rev = track.top if track is not None else 0 if not known else max(0, head.last_rev - PAGE)
        count, more = 0, rev < head.last_rev
        while more and count < MOST:
            page, more = await self._messages.changed(head.room, rev=rev, upto=head.last_seq, limit=PAGE)
            for message in page:
                rev = message.rev or rev
                missing = message.seq >= known or _changed_at(message) >= since
                if missing and message.seq not in told and self._delivery.changes.note(head.room, rev):
                    event = "messageDeleted" if message.deleted_at else "messageEdited"
                    await self._delivery.emit_here(event, to_builtins(message), audience, ())
            count += len(page)


def _changed_at(message: Message) -> int:
    return from_iso(message.deleted_at or message.edited_at or message.sent_at)
