"""Erasure of a user: connections are closed, stored data is removed or made anonymous, and clients are informed.

1. A call is bounded: after `SECONDS` it returns `done: false`, and the caller repeats it. Each batch is a transaction.
2. Connections are closed first and again at the end. A token that is still valid admits the user again; what is written
   then belongs to a new user.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct, to_builtins

from rtserver.identity import user_room
from rtserver.namespaces.chat.conversation import backend_conversation, pair_of
from rtserver.namespaces.chat.room_admin import Watcher
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.erasure.erase_user import Step

USER_ERASED = "forgotten"
"""The event between servers; its argument is the user id."""
SECONDS = 20.0


class Store(Protocol):
    """Erasure in the database."""

    async def step(self, user: str, number: int = 0) -> Step | None:
        """Erase the next batch; None when nothing of `user` is left. `number`: of the last step."""

    async def record(self, by: str, counts: dict[str, int]) -> None:
        """Write to the audit that a user was erased, without the user id."""


class Files(Protocol):
    """Erasure of uploaded files."""

    async def erase(self, user: str) -> int:
        """Remove some of the user's files and return how many; 0 when none is left."""


class ErasureResult(Struct, frozen=True):
    """`done` is False when data is left: repeat the call. `counts`: rows removed or made anonymous, by kind."""

    done: bool
    counts: dict[str, int]


class UserErasure:
    """`evict_here` drops the user from the caches of this server. `watchers` learn who erased, not who was erased."""

    def __init__(
        self,
        namespace: Namespace,
        store: Store,
        files: Files | None,
        evict_here: Callable[[str], None],
        watchers: Sequence[Watcher],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._namespace = namespace
        self._store = store
        self._files = files
        self._evict_here = evict_here
        self._watchers = watchers
        self._seconds = seconds

    async def erase(self, user: str, by: str) -> ErasureResult:
        """Erase `user` on behalf of `by`. Raises `Unavailable`; what was erased until then stays erased."""
        deadline = asyncio.get_running_loop().time() + self._seconds
        counts: Counter[str] = Counter()
        await self._close_connections(user)
        done = await self._run_steps(user, counts, lambda: asyncio.get_running_loop().time() > deadline)
        await self._namespace.server_side_emit(USER_ERASED, user)
        self._evict_here(user)
        await self._close_connections(user)
        if done and counts:
            await self._store.record(by, dict(counts))
            for watcher in self._watchers:
                await watcher("forget", by, {"counts": dict(counts)})
        return ErasureResult(done, dict(counts))

    async def _run_steps(self, user: str, counts: Counter[str], late: Callable[[], bool]) -> bool:
        while self._files is not None and (removed := await self._files.erase(user)):
            counts["uploads"] += removed
            if late():
                return False
        number = 0
        while (step := await self._store.step(user, number)) is not None:
            number = step.number
            counts[step.kind] += step.rows
            await self._announce(user, step)
            if late():
                return False
        return True

    async def _close_connections(self, user: str) -> None:
        server = self._namespace.server
        everywhere = [server.of(name).in_(user_room(user)) for name in server.open_namespaces()]
        await asyncio.gather(*(sockets.disconnect_sockets(close=True) for sockets in everywhere))

    async def _announce(self, user: str, step: Step) -> None:
        """Inform connected clients about a batch, with the events of ordinary changes."""
        emit: Callable[..., Awaitable[None]]
        for room in step.rooms:
            if pair_of(room) is None:
                await self._namespace.to(room).emit("left", {"room": room, "user": user})
        for number, message in enumerate(step.messages):
            emit = self._namespace.to(*backend_conversation(message.room).audience).emit
            wire = to_builtins(message)
            if step.kind != "reactions":
                await emit("messageDeleted", wire)
                continue
            reaction = {name: wire[name] for name in ("room", "id", "seq", "rev")}
            taken_back = {"user": user, "emoji": step.emoji[number], "on": False}
            await emit("reaction", reaction | taken_back | {"reactions": wire.get("reactions", [])})
        await asyncio.sleep(0)
