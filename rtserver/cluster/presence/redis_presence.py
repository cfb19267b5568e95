"""Presence of a cluster, in Redis, by leases and epochs.

Leases. A server that dies cannot report that its users are gone, so it must not be the only one that could. Each
instance holds a lease in Redis: a time by which it must report again. Its heartbeat renews the lease; the users that it
reported count as online only while it lasts. When an instance dies its lease ends, and whichever instance notices
first, in its own heartbeat, takes the users over: they have their grace, and are then announced offline by it. The
price is the delay: `lease` + `heartbeat` + `grace`. The lease is several heartbeats long, so that one that comes late
costs nothing. All times are those of Redis's clock, so the clocks of the instances need not agree.

Epochs. Redis may lose everything (FLUSHALL, a restart without a file, a fail-over to an empty replica), and an instance
that only reports changes would never notice: its users would be offline for good. So there is a random mark in Redis,
the epoch, that disappears with the data; the first heartbeat that misses it sets a new one. Each instance compares the
epoch with the one that it last saw, and the number of its users in Redis with its own count. On a difference it reports
all of its users again. Users that Redis knew before the loss are not announced again.

Invariants (`scripts` describes the keys):
1. A heartbeat costs the same however many users are connected. In addition a few users are reported again each time,
   in case somebody else has changed the keys.
2. While Redis is down this instance announces what it sees itself, and corrects that when Redis is back. An
   announcement may then come twice, but no wrong state remains.
3. The reports of one iteration of the event loop are sent in one call, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence import scripts
from rtserver.cluster.presence.announce_policy import AnnouncePolicy, DeviceCount
from rtserver.cluster.presence.announcer import Announcer, Callback
from rtserver.cluster.presence.devices import Devices
from rtserver.cluster.presence.heartbeat import HeartbeatReply, beat
from rtserver.cluster.presence.queries import PresenceQueries
from rtserver.cluster.presence.redis_instances import InstanceRecord
from rtserver.cluster.presence.room_presence import RedisRoomPresence, RoomReport
from rtserver.cluster.presence.scripts import CHUNK, KEY, chunks
from rtserver.cluster.presence.user_ids import decode_user, decode_users, encode_user
from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.tasks import cancelled

log = structlog.get_logger("rtserver.presence")

MARGIN = 0.05
"""Seconds by which our timers lag behind Redis's clock, so that what they look for is due there."""
MAX_CLEARING_CALLS = 200
"""Calls of one heartbeat that clear up after dead instances, before our own users are compared."""


class RedisPresence:
    """Times are in seconds. `heartbeat` is less than half of `lease`.

    `describe` returns the record of this instance, which the others read. The bus starts before and stops after.
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
        self._queries = PresenceQueries(bus, key)
        self._record = InstanceRecord(instance, describe)
        self._announcer = Announcer()
        self._devices = Devices(grace + MARGIN, self._on_grace_over)
        self._policy = AnnouncePolicy(self._devices, self._announcer)
        self._unsent: list[DeviceCount] = []
        self._sending: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.rooms = RedisRoomPresence(bus, instance, lease=lease, key=key)
        self._epoch: bytes | None = None
        self._stale = True
        self._heartbeat_works = False
        """Whether the last heartbeat reached Redis. Without one, the other instances may not report either."""
        self._crashes: int | None = None
        self._crash_watchers: list[Callable[[], None]] = []
        self._cursor = b"0"
        self._refreshing: Iterator[str] = iter(())
        self._nudge = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin the heartbeat; returns at once."""
        self._announcer.start()
        self._bus.on_change(lambda ready: self._nudge.set())
        self._spawn(self._run())

    async def stop(self) -> None:
        """End the lease; the other instances announce the users that are offline by that."""
        await cancelled(*self._tasks)
        await self.rooms.stop()
        self._devices.stop()
        try:
            await self._bus.ask(*self._script(scripts.LEAVE, self._instance))
        except Unavailable:
            log.info("presence_left_to_lease", instance=self._instance)
        await self._announcer.stop()

    async def connected(self, user: str, sid: str) -> None:
        first = self._devices.add(user, sid)
        reported = self._report(user, first)
        if first:
            await asyncio.wait({reported}, timeout=self._wait)

    async def disconnected(self, user: str, sid: str) -> None:
        if self._devices.remove(user, sid):
            self._report(user)

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        here = {user for user in users if user in self._devices}
        try:
            others = await self._queries.online([user for user in users if user not in here])
            return PartialSet(here | others, partial=not self._heartbeat_works)
        except Unavailable:
            return PartialSet(here, partial=True)

    async def all_online(self, limit: int = 1000) -> PartialList[str]:
        try:
            return PartialList(await self._queries.all_online(limit), partial=not self._heartbeat_works)
        except Unavailable:
            return PartialList(islice(self._devices.present(), max(limit, 0)), partial=True)

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        return await self._queries.devices(users)

    def subscribe(self, callback: Callback) -> None:
        self._announcer.subscribe(callback)

    def on_crash(self, watcher: Callable[[], None]) -> None:
        self._crash_watchers.append(watcher)

    # Reports, and what Redis makes of them.

    def _report(self, user: str, first: bool = False) -> asyncio.Task[None]:
        """Report the devices of the user with the next call; return the task that sends it."""
        self._unsent.append(DeviceCount(user, self._devices.count(user), first))
        if self._sending is None:
            self._sending = self._spawn(self._send_reports())
        return self._sending

    async def _send_reports(self) -> None:
        counts, self._unsent, self._sending = self._unsent, [], None
        sent = [(part, self._call_report(part)) for part in chunks(counts)]
        for part, reply in sent:
            try:
                self._policy.on_reported(part, decode_users(await reply))
            except Unavailable:
                self._stale = True
                self._policy.on_unreported(part)

    def _call_report(self, counts: Iterable[DeviceCount]) -> asyncio.Future[list[bytes]]:
        pairs = [value for user, count, _ in counts for value in (encode_user(user), count)]
        return self._bus.call(*self._script(scripts.REPORT_DEVICES, self._instance, self._lease, self._grace, *pairs))

    def _on_grace_over(self, user: str) -> None:
        if not self._bus.ready:
            self._policy.guess_offline(user)
        elif self._settling is None:
            self._settling = self._spawn(self._settle())

    async def _settle(self, delay: float = 0) -> None:
        """Have Redis set the users offline whose grace is over, and announce them."""
        await asyncio.sleep(delay)  # at least one iteration, for all whose grace ends in this one
        self._settling = None
        more = True
        try:
            while more:
                gone, more = await self._bus.call(*self._script(scripts.SETTLE))
                self._policy.on_gone(decode_users(gone))
        except Unavailable:
            self._stale = True

    # The heartbeat.

    async def _run(self) -> None:
        while True:
            self._nudge.clear()
            try:
                await self._beat()
            except Unavailable:
                self._stale, self._heartbeat_works = True, False
            except Exception:
                log.exception("presence_heartbeat_failed")
            try:
                async with asyncio.timeout(self._heartbeat):
                    await self._nudge.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        """Renew the lease, clear up after dead instances, and bring Redis in line with the devices here."""
        lost_data = cleared = False
        for _ in range(MAX_CLEARING_CALLS):
            reply = await self._call_heartbeat()
            lost_data |= self._apply(reply)
            cleared |= bool(reply.more)
            if not reply.more:
                break
        else:
            self._nudge.set()
        self.rooms.on_heartbeat(RoomReport(reply.epoch, reply.rooms_complete, reply.rooms_size, reply.live))
        if cleared:  # the users of a dead instance have their grace from now on
            self._spawn(self._settle(self._grace / 1000 + MARGIN))
        if self._stale or reply.users != len(self._devices):
            self._stale = False
            await self._report_all(lost_data)
        else:
            await self._refresh_some()

    async def _call_heartbeat(self) -> HeartbeatReply:
        return await beat(
            self._bus,
            self._key,
            self._instance,
            lease=self._lease,
            grace=self._grace,
            record=self._record.encode(),
            cursor=self._cursor,
            max_users=2 * len(self._devices) + scripts.MAX_FOREIGN_USERS,
            rooms_stale=self.rooms.stale,
            first=self._crashes is None,
        )

    def _apply(self, reply: HeartbeatReply) -> bool:
        """Note what a call of the heartbeat found; return whether Redis has lost its data."""
        self._policy.on_gone(decode_users(reply.gone))
        lost_data = self._epoch is not None and reply.epoch != self._epoch
        self._epoch, self._cursor = reply.epoch, reply.cursor
        self._heartbeat_works = True
        self._stale |= lost_data or not reply.lease_held
        if self._crashes is not None and self._crashes != reply.crashes:
            for watcher in self._crash_watchers:
                watcher()
        self._crashes = reply.crashes
        self._record.check(reply.record_before)
        if reply.repaired:
            self._bus.metrics.rejected("presence")
            log.warning("presence_repaired", found=reply.repaired, key=self._key)
        return lost_data

    async def _report_all(self, lost_data: bool) -> None:
        """Report all users, and those that Redis wrongly has for this instance."""
        key = f"{self._key}:on:{self._instance}"
        stored = await self._bus.ask("HKEYS", key)
        known = set(decode_users(stored))
        for foreign in chunks([name for name in stored if encode_user(decode_user(name)) != name]):
            await self._bus.ask("HDEL", key, *foreign)
        unreported = self._policy.unreported
        for users in chunks(list({*known, *unreported, *self._devices})):
            await self._report_now(users, lost_data=lost_data)
        self._policy.correct(await self.online(list(self._policy.take_guesses() - known)))

    async def _refresh_some(self) -> None:
        """Report a few users again, in turn."""
        users = list(islice(self._refreshing, CHUNK))
        if not users:
            self._refreshing = iter(list(self._devices))
            users = list(islice(self._refreshing, CHUNK))
        if users:
            await self._report_now(users)

    async def _report_now(self, users: Iterable[str], *, lost_data: bool = False) -> None:
        counts = [DeviceCount(user, self._devices.count(user)) for user in users]
        fresh = await self._call_report(counts)
        self._policy.on_reported(counts, decode_users(fresh), lost_data=lost_data)

    def _script(self, script: str, *args: str | int | bytes) -> tuple[str | int | bytes, ...]:
        return ("EVAL", script, 1, self._key, *args)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # Not `Tasks`: the caller waits for the task, which must not begin before what happens in this iteration is
        # in `_unsent` (`Tasks` starts eagerly on Python 3.12).
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
