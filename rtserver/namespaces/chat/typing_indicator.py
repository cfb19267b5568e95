"""Typing indicator: broadcast to the others, never stored, and expiring by itself.

1. Typing lasts `TYPING_SECONDS` after the last `typing: true`. It ends earlier with `typing: false`, a message, leaving
   the room or a disconnect. Every audience that received the beginning receives the end.
2. Who starts and stops all the time is announced `CHANGES` times: a start beyond that is not, and a stop is left to the
   expiry. So a small event of one client does not become an event for everybody as often as it is sent.
3. Each instance watches its own clients. All entries last equally long, so they expire in the order of the dict: one
   timer is enough, and a keystroke costs one move in a dict.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rtserver.identity import user_room
from rtserver.namespaces.chat.conversation import Conversation
from rtserver.rate_limit import Rate, TokenBuckets
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.tasks import Tasks

TYPING_SECONDS = 6.0
CHANGES = Rate(2, 2.0)
"""Changes of one user in one conversation that are broadcast."""
MAX_CHANGING = 10_000
"""Users and conversations whose changes are counted."""
NEVER = float("-inf")
REPEAT_SECONDS = 2.0
"""A client may send `typing: true` with every keystroke; it is broadcast this often, in seconds."""
TIMER_SLACK = 0.25
"""Seconds that the timer fires late, so that it serves several entries."""
MAX_PER_CLIENT = 100
"""Conversations in which one connection can type at once."""

_Key = tuple[str, str]  # room, user


@dataclass(slots=True)
class _Entry:
    """`ends` and `announced_at` are times of the event loop; `NEVER`: the others were not told."""

    sid: str
    audience: tuple[str, ...]
    ends: float
    announced_at: float


class TypingIndicator:
    """`namespace` is the one that the users' clients are connected to."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._entries: dict[_Key, _Entry] = {}
        self._by_client: dict[str, dict[_Key, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._changes = TokenBuckets(CHANGES, MAX_CHANGING)
        self._tasks = Tasks()

    def __len__(self) -> int:
        return len(self._entries)

    async def start(self, client: Client, user: str, where: Conversation) -> None:
        """Start typing, or prolong it; does nothing for a client that has left, whose end would not be noticed."""
        if not client.connected:
            return
        now = asyncio.get_running_loop().time()
        known = self._remove((where.room, user))
        announced_at = NEVER if known is None else known.announced_at
        if now - announced_at >= REPEAT_SECONDS and self._may_change(where.room, user):
            announced_at = now
        self._add((where.room, user), _Entry(client.id, where.audience, now + TYPING_SECONDS, announced_at))
        if announced_at == now:
            await self._broadcast(where.audience, where.room, user, typing=True)
        mine = self._by_client.get(client.id, ())  # the client may have disconnected meanwhile
        if len(mine) > MAX_PER_CLIENT:
            await self._end(next(iter(mine)))

    async def stop(self, user: str, where: Conversation) -> None:
        """Stop typing at the client's request. Broadcast in any case: it may have started on another instance."""
        if self._may_change(where.room, user):
            self._remove((where.room, user))
            await self._broadcast(where.audience, where.room, user, typing=False)

    async def end(self, room: str, user: str) -> None:
        """Stop typing because of a message or of leaving the room; does nothing where the user did not type."""
        if self._entries:
            await self._end((room, user))

    async def client_disconnected(self, sid: str) -> None:
        """Stop typing in all conversations of that client."""
        for key in list(self._by_client.get(sid, ())):
            await self._end(key)

    def close(self) -> None:
        """Drop all entries without a broadcast."""
        self._entries.clear()
        self._by_client.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _end(self, key: _Key) -> None:
        entry = self._remove(key)
        if entry is not None and entry.announced_at != NEVER:
            await self._broadcast(entry.audience, *key, typing=False)

    def _may_change(self, room: str, user: str) -> bool:
        return not self._changes.take(f"{room}\0{user}")

    async def _broadcast(self, audience: tuple[str, ...], room: str, user: str, *, typing: bool) -> None:
        """To all but the user's own devices. A start is volatile, as it is repeated; an end is not."""
        others = self._namespace.to(*audience).except_(user_room(user))
        await (others.volatile if typing else others).emit("typing", {"room": room, "user": user, "typing": typing})

    def _add(self, key: _Key, entry: _Entry) -> None:
        self._entries[key] = entry
        self._by_client.setdefault(entry.sid, {})[key] = None
        if self._timer is None:
            self._start_timer(entry.ends)

    def _remove(self, key: _Key) -> _Entry | None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            mine = self._by_client[entry.sid]
            del mine[key]
            if not mine:
                del self._by_client[entry.sid]
        return entry

    def _start_timer(self, when: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(when + TIMER_SLACK, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        due: list[tuple[_Key, _Entry]] = []
        for key, entry in self._entries.items():
            if entry.ends > now:
                self._start_timer(entry.ends)
                break
            due.append((key, entry))
        if due:
            self._tasks.spawn(self._end_all(due))

    async def _end_all(self, due: list[tuple[_Key, _Entry]]) -> None:
        for key, entry in due:
            if self._entries.get(key) is entry:  # the user may have gone on typing meanwhile
                await self._end(key)
