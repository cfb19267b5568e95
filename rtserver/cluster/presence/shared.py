"""Presence of a cluster, in Redis, by leases.

Invariants (`scripts` tells what is kept):
1. Each server says who is here, under a lease that its heartbeat renews. When it dies the lease ends, and whichever
   server notices first clears up and tells.
2. What was said is compared at every heartbeat: after a FLUSHALL, a restart or an outage, everything is said again.
   Who had been told online before Redis lost its data is not told again.
3. While Redis is down this server tells what it sees itself, and makes good when Redis is back. Being told twice is
   possible then; being wrong for good is not.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import structlog

from rtserver.cluster.bus import RedisBus
from rtserver.cluster.presence.announcer import Announcer, Callback
from rtserver.cluster.presence.devices import Devices
from rtserver.cluster.presence.scripts import ARRIVE, BEAT, CHUNK, DEPART, SETTLE
from rtserver.errors import Unavailable

log = structlog.get_logger("rtserver.presence")

PATIENCE = 0.25
"""Seconds that a question may take before this server's own knowledge is the answer."""
MARGIN = 0.05
"""Seconds by which our timers lag behind Redis's clock, so that what they look for is due."""


class RedisPresence:
    """Times are seconds; a dead server is noticed within `lease` + `heartbeat`. The bus starts before, stops after."""

    def __init__(
        self,
        bus: RedisBus,
        instance: str,
        *,
        grace: float = 3.0,
        lease: float = 10.0,
        heartbeat: float = 3.0,
        wait: float = 0.1,
        key: str = "{rtserver:presence}",
    ) -> None:
        self._bus, self._instance, self._key = bus, instance, key
        self._grace, self._lease = round(grace * 1000), round(lease * 1000)
        self._heartbeat, self._wait = heartbeat, wait
        self._announcer = Announcer()
        self._devices = Devices(grace + MARGIN, self._gone)
        self._announced: set[str] = set()
        self._unsaid: set[str] = set()  # left while Redis was down
        self._guessed: set[str] = set()  # of those, the ones told offline
        self._epoch: bytes | None = None
        self._stale = True
        self._nudge = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._announcer.start()
        self._bus.on_change(lambda ready: self._nudge.set())
        self._spawn(self._run())

    async def stop(self) -> None:
        """Takes back everything this server has said; the others see to who is offline by that."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._devices.stop()
        try:
            for users in _chunks(self._devices):
                await self._bus.ask(*self._script(DEPART, self._instance, self._grace, *users))
            await self._bus.ask("ZREM", f"{self._key}:leases", self._instance)
        except Unavailable:
            log.info("presence_left_to_lease", instance=self._instance)
        await self._announcer.stop()

    async def connected(self, user: str, sid: str) -> None:
        if self._devices.add(user, sid):
            answer = self._bus.call(*self._script(ARRIVE, self._instance, user))
            await asyncio.wait({self._spawn(self._arrived(user, answer))}, timeout=self._wait)

    async def disconnected(self, user: str, sid: str) -> None:
        if self._devices.remove(user, sid):
            answer = self._bus.call(*self._script(DEPART, self._instance, self._grace, user))
            self._spawn(self._departed(user, answer))

    async def online(self, users: Sequence[str]) -> set[str]:
        here = {user for user in users if user in self._devices}
        elsewhere = [user for user in users if user not in here]
        if not elsewhere:
            return here
        try:
            since = await self._bus.ask("ZMSCORE", f"{self._key}:online", *elsewhere, timeout=PATIENCE)
        except Unavailable:
            return here
        return here | {user for user, when in zip(elsewhere, since, strict=True) if when is not None}

    async def all_online(self, limit: int = 1000) -> list[str]:
        if limit <= 0:
            return []
        try:
            users = await self._bus.ask("ZRANGE", f"{self._key}:online", 0, limit - 1, timeout=PATIENCE)
        except Unavailable:
            return list(islice(self._devices, limit))
        return _texts(users)

    def subscribe(self, callback: Callback) -> None:
        self._announcer.subscribe(callback)

    # What Redis made of it.

    async def _arrived(self, user: str, answer: asyncio.Future[Any]) -> None:
        self._unsaid.discard(user)
        self._guessed.discard(user)
        try:
            if await answer:
                self._announcer.tell(user, True)
            self._announced.add(user)
        except Unavailable:
            self._stale = True
            if self._devices.has(user):
                self._announcer.tell(user, True)

    async def _departed(self, user: str, answer: asyncio.Future[Any]) -> None:
        self._announced.discard(user)
        try:
            await answer
        except Unavailable:
            self._stale = True
            if not self._devices.has(user):
                self._unsaid.add(user)

    def _gone(self, user: str) -> None:
        if self._bus.ready:
            self._spawn(self._settle())
        elif user in self._unsaid:
            self._guessed.add(user)
            self._announcer.tell(user, False)

    async def _settle(self) -> None:
        try:
            self._tell_offline(await self._bus.call(*self._script(SETTLE)))
        except Unavailable:
            self._stale = True

    def _tell_offline(self, users: list[bytes]) -> None:
        for user in _texts(users):
            if not self._devices.has(user):
                self._announcer.tell(user, False)

    # The heartbeat.

    async def _run(self) -> None:
        while True:
            self._nudge.clear()
            try:
                await self._beat()
            except Unavailable:
                self._stale = True
            except Exception:
                log.exception("presence_heartbeat_failed")
            try:
                async with asyncio.timeout(self._heartbeat):
                    await self._nudge.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        beat = self._script(BEAT, self._instance, self._lease, secrets.token_hex(8))
        known, epoch, count, gone = await self._bus.ask(*beat)
        self._tell_offline(gone)
        lost_data = self._epoch is not None and epoch != self._epoch
        self._epoch = epoch
        if self._stale or lost_data or not known or count != len(self._devices):
            self._stale = False
            await self._say_again(lost_data)

    async def _say_again(self, lost_data: bool) -> None:
        """Bring Redis in line with who is here."""
        said = set(_texts(await self._bus.ask("SMEMBERS", f"{self._key}:on:{self._instance}")))
        left = {user for user in said | (self._unsaid - self._guessed) if not self._devices.has(user)}
        for users in _chunks(left):
            await self._bus.ask(*self._script(DEPART, self._instance, self._grace, *users))
        for users in _chunks(self._devices):
            for user in _texts(await self._bus.ask(*self._script(ARRIVE, self._instance, *users))):
                if not (lost_data and user in self._announced):
                    self._announcer.tell(user, True)
            self._announced.update(user for user in users if self._devices.has(user))
        await self._correct_guesses(self._guessed - left)
        self._unsaid.clear()
        self._guessed.clear()

    async def _correct_guesses(self, users: set[str]) -> None:
        for user in await self.online(list(users)):
            self._announcer.tell(user, True)

    def _script(self, script: str, *args: str | int) -> tuple[str | int, ...]:
        return ("EVAL", script, 1, self._key, *args)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _chunks(users: Iterable[str]) -> Iterator[list[str]]:
    users = list(users)
    return (users[i : i + CHUNK] for i in range(0, len(users), CHUNK))


def _texts(users: Iterable[bytes]) -> list[str]:
    return [user.decode(errors="replace") for user in users]
