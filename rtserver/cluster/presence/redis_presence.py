"""Presence of a cluster, in Redis, by leases.

Invariants (`scripts` tells what is kept):
1. Each server says who is here, under a lease that its heartbeat renews. When it dies the lease ends, and whichever
   server notices first clears up and tells. A heartbeat costs the same however many users are here.
2. What was said is compared at every heartbeat: after a FLUSHALL, a restart or an outage, everything is said again.
   Who had been told online before Redis lost its data is not told again. A few users are said again each time in any
   case, for what others may have done to the keys.
3. While Redis is down this server tells what it sees itself, and makes good when Redis is back. Being told twice is
   possible then; being wrong for good is not.
4. What is said in one turn of the loop goes out in one call, in order.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence import scripts
from rtserver.cluster.presence.announce_policy import AnnouncePolicy, DeviceCount
from rtserver.cluster.presence.announcer import Announcer, Callback
from rtserver.cluster.presence.devices import Devices
from rtserver.cluster.presence.instances import InstanceRecord
from rtserver.cluster.presence.queries import PresenceQueries
from rtserver.cluster.presence.room_presence import RedisRoomPresence, Seen
from rtserver.cluster.presence.scripts import CHUNK, KEY, chunks
from rtserver.cluster.presence.user_ids import decode_user, decode_users, encode_user
from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable

log = structlog.get_logger("rtserver.presence")

MARGIN = 0.05
"""Seconds by which our timers lag behind Redis's clock, so that what they look for is due."""
CLEARING = 200
"""Calls that clear up after the dead before our own users are looked after."""


class RedisPresence:
    """Times are seconds; the users of a dead server go offline within `lease` + `heartbeat` + `grace`.
    `heartbeat` is less than half of `lease`.

    `describe` gives what the other servers may know of this one. The bus starts before, stops after.
    """

    def __init__(
        self,
        bus: RedisBus,
        instance: str,
        *,
        grace: float = 3.0,
        lease: float = 8.0,
        heartbeat: float = 2.0,
        wait: float = 0.1,
        key: str = KEY,
        describe: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._bus, self._instance, self._key = bus, instance, key
        self._grace, self._lease = round(grace * 1000), round(lease * 1000)
        self._heartbeat, self._wait = heartbeat, wait
        self._questions = PresenceQueries(bus, key)
        self._record = InstanceRecord(instance, describe)
        self._announcer = Announcer()
        self._devices = Devices(grace + MARGIN, self._gone)
        self._telling = AnnouncePolicy(self._devices, self._announcer)
        self._sayings: list[DeviceCount] = []
        self._sending: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.rooms = RedisRoomPresence(bus, instance, lease=lease, key=key)
        self._epoch: bytes | None = None
        self._stale = True
        self._look: bytes | str = "0"
        self._round: Iterator[str] = iter(())
        self._nudge = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._announcer.start()
        self._bus.on_change(lambda ready: self._nudge.set())
        self._spawn(self._run())

    async def stop(self) -> None:
        """The others see to who is offline by that."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.rooms.stop()
        self._devices.stop()
        try:
            await self._bus.ask(*self._script(scripts.LEAVE, self._instance))
        except Unavailable:
            log.info("presence_left_to_lease", instance=self._instance)
        await self._announcer.stop()

    async def connected(self, user: str, sid: str) -> None:
        first = self._devices.add(user, sid)
        said = self._say(user, first)
        if first:
            await asyncio.wait({said}, timeout=self._wait)

    async def disconnected(self, user: str, sid: str) -> None:
        if self._devices.remove(user, sid):
            self._say(user)

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        here = {user for user in users if user in self._devices}
        try:
            return PartialSet(here | await self._questions.online([user for user in users if user not in here]))
        except Unavailable:
            return PartialSet(here, partial=True)

    async def all_online(self, limit: int = 1000) -> PartialList[str]:
        try:
            return PartialList(await self._questions.all_online(limit))
        except Unavailable:
            return PartialList(islice(self._devices.present(), max(limit, 0)), partial=True)

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        return await self._questions.devices(users)

    def subscribe(self, callback: Callback) -> None:
        self._announcer.subscribe(callback)

    # What is said, and what Redis makes of it.

    def _say(self, user: str, first: bool = False) -> asyncio.Task[None]:
        self._sayings.append(DeviceCount(user, self._devices.count(user), first))
        if self._sending is None:
            self._sending = self._spawn(self._send())
        return self._sending

    async def _send(self) -> None:
        sayings, self._sayings, self._sending = self._sayings, [], None
        sent = [(part, self._call_say(part)) for part in chunks(sayings)]
        for part, answer in sent:
            try:
                self._telling.heard(part, decode_users(await answer))
            except Unavailable:
                self._stale = True
                self._telling.unheard(part)

    def _call_say(self, sayings: Iterable[DeviceCount]) -> asyncio.Future[list[bytes]]:
        pairs = [value for user, count, _ in sayings for value in (encode_user(user), count)]
        return self._bus.call(*self._script(scripts.SAY, self._instance, self._lease, self._grace, *pairs))

    def _gone(self, user: str) -> None:
        if not self._bus.ready:
            self._telling.guess(user)
        elif self._settling is None:
            self._settling = self._spawn(self._settle())

    async def _settle(self, delay: float = 0) -> None:
        await asyncio.sleep(delay)  # if only for all whose grace ends in this turn
        self._settling = None
        more = True
        try:
            while more:
                gone, more = await self._bus.call(*self._script(scripts.SETTLE))
                self._telling.gone(decode_users(gone))
        except Unavailable:
            self._stale = True

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
        lost_data = cleared = False
        for _ in range(CLEARING):
            args = (self._instance, self._lease, self._grace, secrets.token_hex(8), self._record.write(), self._look)
            most = 2 * len(self._devices) + scripts.STRANGERS
            answer = await self._bus.call(*self._script(scripts.BEAT, *args, most, int(self.rooms.stale)))
            held, epoch, count, gone, more, self._look, repaired, before, *rooms = answer
            self._telling.gone(decode_users(gone))
            lost_data |= self._epoch is not None and epoch != self._epoch
            self._epoch = epoch
            self._stale |= lost_data or not held
            self._record.check(before)
            if repaired:
                self._bus.metrics.rejected("presence")
                log.warning("presence_repaired", found=repaired, key=self._key)
            cleared |= bool(more)
            if not more:
                break
        else:
            self._nudge.set()
        self.rooms.beaten(Seen(epoch, *rooms))
        if cleared:  # the users of a dead server have their grace from now on
            self._spawn(self._settle(self._grace / 1000 + MARGIN))
        if self._stale or count != len(self._devices):
            self._stale = False
            await self._say_again(lost_data)
        else:
            await self._remind()

    async def _say_again(self, lost_data: bool) -> None:
        """Bring Redis in line with who is here."""
        key = f"{self._key}:on:{self._instance}"
        kept = await self._bus.ask("HKEYS", key)
        said = set(decode_users(kept))
        for strange in chunks([name for name in kept if encode_user(decode_user(name)) != name]):
            await self._bus.ask("HDEL", key, *strange)
        owed = self._telling.owed
        for users in chunks(list({*said, *owed, *self._devices})):
            await self._repeat(users, lost_data=lost_data)
        self._telling.correct(await self.online(list(self._telling.settle_up() - said)))

    async def _remind(self) -> None:
        """Say a few again."""
        users = list(islice(self._round, CHUNK))
        if not users:
            self._round = iter(list(self._devices))
            users = list(islice(self._round, CHUNK))
        if users:
            await self._repeat(users)

    async def _repeat(self, users: Iterable[str], *, lost_data: bool = False) -> None:
        sayings = [DeviceCount(user, self._devices.count(user)) for user in users]
        fresh = await self._call_say(sayings)
        self._telling.heard(sayings, decode_users(fresh), lost_data=lost_data)

    def _script(self, script: str, *args: str | int | bytes) -> tuple[str | int | bytes, ...]:
        return ("EVAL", script, 1, self._key, *args)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
