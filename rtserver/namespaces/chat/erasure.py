"""Erasure of a user: connections are closed, stored data is removed or made anonymous, and clients are informed.

1. A call is bounded: after `SECONDS` it returns `done: false`, and the caller repeats it. Each batch is a transaction.
2. First the user is expelled from every server: the connections are closed, events that wait are dropped, and handlers
   that run are waited for. So nothing is written behind the erasure's back. That is repeated until a pass over all data
   finds nothing more. While a server does not confirm it, the result is `done: false`.
3. Until the erasure ends, the user is refused, with `unavailable`. Then a token that is still valid admits the user
   again, as a new user. An erasure whose server dies ends after `EXPELLED_SECONDS`.
4. Two servers may erase the same user: each erasure has a mark of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct, to_builtins

from rtserver.cluster.presence.instances import InstanceRegistry
from rtserver.errors import Refused
from rtserver.identity import user_room
from rtserver.namespaces.chat.conversation import backend_conversation, pair_of
from rtserver.namespaces.chat.room_admin import Watcher
from rtserver.namespaces.delivery.room_delivery import RoomDelivery
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.erasure.erase_user import Step

USER_EXPELLED = "forgetting"
"""The event between servers when an erasure begins; arguments: the user and the mark of the erasure."""
USER_ERASED = "forgotten"
"""The same when it ends."""
EXPELLED_SECONDS = 60.0
MAX_EXPELLED = 10_000
"""Erasures that are remembered: other servers report them, and each costs as long as it is remembered."""
PATIENCE = 3.0
"""Seconds to wait for running handlers."""
SECONDS = 20.0
ANSWER_SECONDS = PATIENCE + 1.0
"""Seconds to wait for the answers of other servers."""


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


class Expulsions:
    """The users that are being erased, with the marks of their erasures.

    `hooks` are called with each such user, before the connections are closed.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._ends: dict[tuple[str, str], float] = {}
        """The soonest first, as all last equally long."""
        self._users: Counter[str] = Counter()
        """How many of them each user has."""
        self.hooks: list[Callable[[str], None]] = []

    async def begin(self, user: str, mark: str) -> bool:
        """Expel a user from this server; whether nothing of the user runs here any more."""
        now = self._drop_ended()
        self.end(user, mark)
        if len(self._ends) >= MAX_EXPELLED:
            return False
        self._ends[user, mark] = now + EXPELLED_SECONDS
        self._users[user] += 1
        for hook in self.hooks:
            hook(user)
        return await self._namespace.server.expel(user, PATIENCE)

    def end(self, user: str, mark: str) -> None:
        """The user may come back, as a new one."""
        if self._ends.pop((user, mark), None) is not None:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    def check(self, client: Client) -> None:
        """Middleware of connects: raise `Refused` for a user who is being erased."""
        if self._ends and client.identity is not None:
            self._drop_ended()
            if client.identity.user in self._users:
                raise Refused("This user is being erased", code="unavailable")

    def _drop_ended(self) -> float:
        """Forget the erasures whose time is over; returns the time of now."""
        now = asyncio.get_running_loop().time()
        while self._ends and self._ends[known := next(iter(self._ends))] <= now:
            self.end(*known)
        return now


class UserErasure:
    """`expulsions`, `evict_here`: the users being erased and the caches, here. `registry`: the servers of the cluster.

    `watchers` learn who erased, not who was erased. `announce_deleted` tells devices of deleted notifications.
    """

    def __init__(
        self,
        namespace: Namespace,
        store: Store,
        files: Files | None,
        expulsions: Expulsions,
        registry: InstanceRegistry | None,
        evict_here: Callable[[str], None],
        announce_deleted: Callable[[Sequence[tuple[str, str]]], Awaitable[None]],
        watchers: Sequence[Watcher],
        delivery: RoomDelivery,
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._namespace = namespace
        self._store = store
        self._files = files
        self._expulsions = expulsions
        self._registry = registry
        self._evict_here = evict_here
        self._announce_deleted = announce_deleted
        self._watchers = watchers
        self._delivery = delivery
        self._seconds = seconds

    async def erase(self, user: str, by: str) -> ErasureResult:
        """Erase `user` on behalf of `by`. Raises `Unavailable`; what was erased until then stays erased."""
        deadline = asyncio.get_running_loop().time() + self._seconds
        counts: Counter[str] = Counter()
        mark = secrets.token_hex(8)
        try:
            done = await self._erase_all(user, mark, counts, lambda: asyncio.get_running_loop().time() > deadline)
        finally:
            await self._readmit(user, mark)
        if counts:
            await self._store.record(by, dict(counts))
            for watcher in self._watchers:
                await watcher("forget", by, {"counts": dict(counts)})
        return ErasureResult(done, dict(counts))

    async def _erase_all(self, user: str, mark: str, counts: Counter[str], late: Callable[[], bool]) -> bool:
        """Expel the user and run the steps until they find nothing more; whether everything is erased (rule 2)."""
        while True:
            silent = await self._expel(user, mark)
            before = counts.total()
            if not await self._run_steps(user, counts, late) or not silent:
                return False
            if counts.total() == before:
                return True
            if late():
                return False

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

    async def _expel(self, user: str, mark: str) -> bool:
        """Expel the user from every server; whether every server has confirmed it."""
        server = self._namespace.server
        everywhere = [server.of(name).in_(user_room(user)) for name in server.open_namespaces()]
        await asyncio.gather(*(sockets.disconnect_sockets(close=True) for sockets in everywhere))
        silent, answers = await asyncio.gather(
            self._expulsions.begin(user, mark), self._ask_others(USER_EXPELLED, user, mark, ANSWER_SECONDS)
        )
        confirmed: set[str] = {server.instance_id} if silent else set()
        confirmed.update(answer[0] for answer in answers if isinstance(answer, list) and answer[1:] == [True])
        if self._registry is None:
            return bool(silent)
        instances = await self._registry.instances()
        return not instances.partial and all(instance.id in confirmed for instance in instances)

    async def _readmit(self, user: str, mark: str) -> None:
        self._evict_here(user)
        self._expulsions.end(user, mark)
        await self._ask_others(USER_ERASED, user, mark, PATIENCE)

    async def _ask_others(self, event: str, user: str, mark: str, seconds: float) -> list[Any]:
        """The answers of the other servers, as far as they came in time."""
        try:
            return await self._namespace.server_side_emit_with_ack(event, user, mark, timeout=seconds)
        except AckTimeout as error:
            return error.responses

    async def _announce(self, user: str, step: Step) -> None:
        """Inform connected clients about a batch, with the events of ordinary changes."""
        emit: Callable[..., Awaitable[None]]
        await self._announce_deleted(step.notifications)
        for room in step.rooms:
            if pair_of(room) is None:
                await self._namespace.to(room).emit("left", {"room": room, "user": user})
        for number, message in enumerate(step.messages):
            audience = backend_conversation(message.room).audience
            emit = self._namespace.to(*audience).emit
            wire = to_builtins(message)
            self._delivery.sent("messageDeleted", wire, audience)
            if step.kind != "reactions":
                await emit("messageDeleted", wire)
                continue
            reaction = {name: wire[name] for name in ("room", "id", "seq", "rev")}
            taken_back = {"user": user, "emoji": step.emoji[number], "on": False}
            await emit("reaction", reaction | taken_back | {"reactions": wire.get("reactions", [])})
        await asyncio.sleep(0)
