"""Opening direct conversations: who talks in one is a member of its room, so that `rooms` lists it for each."""

from __future__ import annotations

from rtserver.namespaces.chat.direct import pair_of
from rtserver.namespaces.chat.ports import RoomStore
from rtserver.store.records import Author, Member

KNOWN_ROOMS = 10_000


class Opening:
    """Only who is forgotten leaves such a room, so what was opened once is not asked for again."""

    def __init__(self, rooms: RoomStore) -> None:
        self._rooms = rooms
        self._opened: set[str] = set()

    async def open(self, room: str, author: Author) -> None:
        """Make both users of the direct conversation `room` members of it."""
        if room in self._opened:
            return
        for user in dict.fromkeys(pair_of(room) or ()):
            if user == author.id:
                await self._rooms.join(room, Member(id=user, name=author.name))
            elif not await self._rooms.is_member(room, user):
                # Only the user's own token tells the name; the id stands in for it until then.
                await self._rooms.join(room, Member(id=user, name=user))
        if len(self._opened) >= KNOWN_ROOMS:
            self._opened.clear()
        self._opened.add(room)

    def forget(self, user: str) -> None:
        self._opened = {room for room in self._opened if user not in (pair_of(room) or ())}
