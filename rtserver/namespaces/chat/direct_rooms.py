"""Direct rooms: which direct conversations have begun.

1. A conversation begins with its first message: in that transaction both users become members of its room. Until then
   nothing is stored of it, and nothing that one user does in it is told to the other. Only the typing of somebody with
   whom the user shares a room is.
2. Members leave a direct room only by erasure. A user who comes back after it is a stranger to the old conversation.
3. Rooms that have begun are cached, until one of the users is erased.
"""

from __future__ import annotations

from rtserver.namespaces.chat.conversation import pair_of
from rtserver.namespaces.chat.interfaces import RoomStore
from rtserver.store.messages.records import Author, Member

MAX_CACHED = 10_000
"""Direct rooms in the cache; it is emptied when full."""


class DirectRooms:
    """`evictions` counts calls of `evict`: what was read before one of them is not cached after it."""

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
