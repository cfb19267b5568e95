"""Who is typing where: told to the others, never stored, and over by itself.

1. Typing lasts `LASTS` seconds from the last word of it. It ends earlier with `typing: false`, a message, leaving the
   room or the connection: whoever was told that it began is told that it ended.
2. Each instance watches over its own clients. All last equally long, so the oldest entry is the first to go: one timer
   does for everybody, and a keystroke costs a move in a dict.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rtserver.identity import user_room
from rtserver.namespaces.chat.conversation import Conversation
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace

LASTS = 6.0
TELL_AGAIN = 2.0
"""A client may say it with every keystroke; the others hear of it this often, in seconds."""
GRAIN = 0.25
MAX_EACH = 100
"""Conversations that one connection types in at once."""

_Key = tuple[str, str]  # room, user


@dataclass(slots=True)
class _Entry:
    sid: str
    audience: tuple[str, ...]
    ends: float
    told: float


class TypingIndicator:
    """`namespace` is the one that the users' clients are connected to."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._entries: dict[_Key, _Entry] = {}
        self._of_client: dict[str, dict[_Key, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    async def began(self, client: Client, user: str, where: Conversation) -> None:
        """Or goes on."""
        now = asyncio.get_running_loop().time()
        known = self._forget((where.room, user))
        told = known.told if known is not None and now - known.told < TELL_AGAIN else now
        self._remember((where.room, user), _Entry(client.id, where.audience, now + LASTS, told))
        if told == now:
            await self._tell(where.audience, where.room, user, typing=True)
        mine = self._of_client.get(client.id, ())  # it may have gone meanwhile
        if len(mine) > MAX_EACH:
            await self._end(next(iter(mine)))

    async def stopped(self, user: str, where: Conversation) -> None:
        """The user says so: told in any case, for it may have begun on another instance."""
        self._forget((where.room, user))
        await self._tell(where.audience, where.room, user, typing=False)

    async def ended(self, room: str, user: str) -> None:
        """With a message, or by leaving; nothing where the user did not type."""
        if self._entries:
            await self._end((room, user))

    async def gone(self, sid: str) -> None:
        """A client has disconnected."""
        for key in list(self._of_client.get(sid, ())):
            await self._end(key)

    def close(self) -> None:
        self._entries.clear()
        self._of_client.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _end(self, key: _Key) -> None:
        entry = self._forget(key)
        if entry is not None:
            await self._tell(entry.audience, *key, typing=False)

    async def _tell(self, audience: tuple[str, ...], room: str, user: str, *, typing: bool) -> None:
        """Not the user's own devices: nobody watches oneself type. Only a beginning may get lost: it comes again."""
        others = self._namespace.to(*audience).except_(user_room(user))
        await (others.volatile if typing else others).emit("typing", {"room": room, "user": user, "typing": typing})

    def _remember(self, key: _Key, entry: _Entry) -> None:
        self._entries[key] = entry
        self._of_client.setdefault(entry.sid, {})[key] = None
        if self._timer is None:
            self._wake_at(entry.ends)

    def _forget(self, key: _Key) -> _Entry | None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            mine = self._of_client[entry.sid]
            del mine[key]
            if not mine:
                del self._of_client[entry.sid]
        return entry

    def _wake_at(self, when: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(when + GRAIN, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        due: list[tuple[_Key, _Entry]] = []
        for key, entry in self._entries.items():
            if entry.ends > now:
                self._wake_at(entry.ends)
                break
            due.append((key, entry))
        if due:
            self._sweeping = asyncio.create_task(self._end_all(due), name="typing")

    async def _end_all(self, due: list[tuple[_Key, _Entry]]) -> None:
        for key, entry in due:
            if self._entries.get(key) is entry:  # it may have gone on meanwhile
                await self._end(key)
