"""Who is online. The first half holds for every presence, the rest for that of a cluster."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from rtserver.cluster.bus import RedisBus
from rtserver.cluster.presence import MemoryPresence, Presence, RedisPresence
from rtserver.metrics import Metrics
from tests.cluster.conftest import eventually
from tests.support.redis_server import RedisServer

GRACE = 0.2
LEASE = 1.0
HEARTBEAT = 0.3


class Watcher:
    """What one server was told to tell."""

    def __init__(self, presence: Presence) -> None:
        self.told: list[tuple[str, bool]] = []
        presence.subscribe(self._on_change)

    async def _on_change(self, user: str, online: bool) -> None:
        self.told.append((user, online))


class Cluster:
    """Servers with a presence on one Redis. `kill` ends one as `kill -9` would: nothing is said any more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: list[tuple[RedisBus, RedisPresence]] = []
        self.watchers: list[Watcher] = []

    async def join(self, *, wait: bool = True, **options: Any) -> RedisPresence:
        bus = RedisBus(self._url, Metrics())
        timing = {"grace": GRACE, "lease": LEASE, "heartbeat": HEARTBEAT, **options}
        presence = RedisPresence(bus, f"i{len(self.watchers)}", **timing)
        self.watchers.append(Watcher(presence))
        await bus.start()
        assert not wait or await bus.wait_ready(5)
        await presence.start()
        self._running.append((bus, presence))
        return presence

    @property
    def told(self) -> list[tuple[str, bool]]:
        return [change for watcher in self.watchers for change in watcher.told]

    async def ready(self) -> None:
        for bus, _ in self._running:
            assert await bus.wait_ready(15)

    async def down(self) -> None:
        await eventually(lambda: not any(bus.ready for bus, _ in self._running))

    async def kill(self, presence: RedisPresence) -> None:
        found = next(pair for pair in self._running if pair[1] is presence)
        self._running.remove(found)
        for task in list(presence._tasks):
            task.cancel()
        await found[0].stop()
        await presence.stop()

    async def stop(self) -> None:
        for bus, presence in self._running:
            await presence.stop()
            await bus.stop()


async def is_online(presence: Presence, *users: str) -> bool:
    """Whether exactly these are."""
    return sorted(await presence.all_online()) == sorted(users)


@pytest.fixture
async def cluster(redis_server: RedisServer) -> AsyncIterator[Cluster]:
    made = Cluster(redis_server.url)
    yield made
    await made.stop()


@pytest.fixture(params=["memory", "redis"])
async def presence(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[Presence]:
    if request.param == "redis":
        yield await cluster.join()
        return
    memory = MemoryPresence(GRACE)
    await memory.start()
    yield memory
    await memory.stop()


async def test_a_user_comes_with_the_first_device_and_goes_after_the_last(presence: Presence) -> None:
    watcher = Watcher(presence)
    await presence.connected("alice", "phone")
    await presence.connected("alice", "laptop")
    await presence.connected("bob", "phone2")
    await eventually(lambda: len(watcher.told) == 2)
    assert await presence.online(["alice", "bob", "carol"]) == {"alice", "bob"}
    assert sorted(await presence.all_online()) == ["alice", "bob"]
    assert len(await presence.all_online(limit=1)) == 1
    await presence.disconnected("alice", "phone")
    await presence.disconnected("bob", "phone2")
    await eventually(lambda: len(watcher.told) == 3)
    await presence.disconnected("alice", "laptop")
    await eventually(lambda: len(watcher.told) == 4)
    assert sorted(watcher.told[:2]) == [("alice", True), ("bob", True)]
    assert watcher.told[2:] == [("bob", False), ("alice", False)]
    assert await presence.online(["alice", "bob"]) == set()
    assert await presence.all_online() == []


async def test_who_is_back_within_the_grace_was_never_away(presence: Presence) -> None:
    watcher = Watcher(presence)
    for number in range(5):
        await presence.connected("alice", f"s{number}")
        await presence.disconnected("alice", f"s{number}")
    assert await presence.online(["alice"]) == {"alice"}
    await presence.connected("bob", "later")
    await presence.disconnected("bob", "later")
    await eventually(lambda: ("bob", False) in watcher.told)
    assert [online for user, online in watcher.told if user == "alice"] == [True, False]


async def test_a_device_that_is_told_twice_counts_once(presence: Presence) -> None:
    watcher = Watcher(presence)
    await presence.connected("alice", "phone")
    await presence.connected("alice", "phone")
    await presence.disconnected("alice", "phone")
    await presence.disconnected("alice", "phone")
    await presence.disconnected("nobody", "phone")
    await eventually(lambda: len(watcher.told) == 2)
    assert watcher.told == [("alice", True), ("alice", False)]


async def test_a_failing_subscriber_holds_up_nobody(presence: Presence) -> None:
    async def failing(user: str, online: bool) -> None:
        raise RuntimeError("bug")

    presence.subscribe(failing)
    watcher = Watcher(presence)
    await presence.connected("alice", "phone")
    await eventually(lambda: watcher.told == [("alice", True)])


async def test_odd_names_are_users_like_any_other(presence: Presence) -> None:
    names = ["", "a b", "é😀", "*", "{x}", "a:b", "\n\0"]
    for name in names:
        await presence.connected(name, "sid")
    assert await presence.online(names) == set(names)
    assert sorted(await presence.all_online()) == sorted(names)


async def test_nobody_asked_for_is_nobody_online(presence: Presence) -> None:
    assert await presence.online([]) == set()
    assert await presence.all_online(limit=0) == []


# A cluster.


async def test_devices_on_two_servers_are_one_user_and_each_change_is_told_once(cluster: Cluster) -> None:
    one, two, three = [await cluster.join() for _ in range(3)]
    await asyncio.gather(one.connected("alice", "a"), two.connected("alice", "b"), three.connected("alice", "c"))
    assert await one.online(["alice"]) == await three.online(["alice"]) == {"alice"}
    await one.disconnected("alice", "a")
    await two.disconnected("alice", "b")
    await two.connected("bob", "d")
    await two.disconnected("bob", "d")
    await eventually(lambda: ("bob", False) in cluster.told)
    assert ("alice", False) not in cluster.told
    await three.disconnected("alice", "c")
    await eventually(lambda: ("alice", False) in cluster.told)
    assert sorted(cluster.told) == [("alice", False), ("alice", True), ("bob", False), ("bob", True)]


async def test_who_moves_to_another_server_was_never_away(cluster: Cluster) -> None:
    one, two = await cluster.join(), await cluster.join()
    await one.connected("alice", "a")
    await one.disconnected("alice", "a")
    await two.connected("alice", "b")
    await one.connected("bob", "x")
    await one.disconnected("bob", "x")
    await eventually(lambda: ("bob", False) in cluster.told)
    assert [online for user, online in cluster.told if user == "alice"] == [True]


async def test_the_users_of_a_killed_server_go_offline_once_within_its_lease(cluster: Cluster) -> None:
    one, two, three = [await cluster.join() for _ in range(3)]
    await one.connected("alice", "a")
    await one.connected("bob", "b")
    await two.connected("bob", "c")
    await one.connected("leaving", "l")
    await one.disconnected("leaving", "l")
    began = time.monotonic()
    await cluster.kill(one)
    await eventually(lambda: {("alice", False), ("leaving", False)} <= set(cluster.told))
    assert time.monotonic() - began < LEASE + 2 * HEARTBEAT + 1
    assert await three.online(["alice", "bob", "leaving"]) == {"bob"}
    await two.disconnected("bob", "c")
    await eventually(lambda: ("bob", False) in cluster.told)
    assert len(cluster.told) == len(set(cluster.told)) == 6


async def test_the_users_of_a_stopped_server_go_offline_after_the_grace(cluster: Cluster) -> None:
    one, two = await cluster.join(lease=60), await cluster.join(lease=60)
    await one.connected("alice", "a")
    await one.connected("bob", "b")
    await one.stop()
    await two.connected("bob", "c")
    await eventually(lambda: ("alice", False) in cluster.told)
    assert sorted(cluster.told) == [("alice", False), ("alice", True), ("bob", True)]


async def test_a_crowd_is_cleared_up_after_its_server_died(cluster: Cluster) -> None:
    one, two = await cluster.join(), await cluster.join()
    users = [f"user{number}" for number in range(1200)]
    await asyncio.gather(*(one.connected(user, user) for user in users))
    assert len(await two.all_online(2000)) == 1200
    await cluster.kill(one)
    await eventually(lambda: sum(1 for _, online in cluster.told if not online) == 1200)
    assert await two.all_online() == []


async def test_after_flushall_everything_is_right_within_a_heartbeat_and_nobody_is_told_again(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, two = await cluster.join(), await cluster.join()
    await one.connected("alice", "a")
    await two.connected("bob", "b")
    await redis_client.flushall()
    await eventually(partial(is_online, two, "alice", "bob"))
    assert sorted(cluster.told) == [("alice", True), ("bob", True)]
    await one.disconnected("alice", "a")
    await eventually(lambda: ("alice", False) in cluster.told)
    assert await two.online(["alice", "bob"]) == {"bob"}


async def test_who_leaves_right_after_flushall_still_goes_offline_once(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, _ = await cluster.join(heartbeat=60), await cluster.join(heartbeat=60)
    await one.connected("alice", "a")
    await redis_client.flushall()
    await one.disconnected("alice", "a")
    await eventually(lambda: cluster.told == [("alice", True), ("alice", False)])


async def test_while_redis_is_down_presence_is_what_the_server_sees_itself(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    one, two = await cluster.join(), await cluster.join()
    await one.connected("alice", "a")
    await two.connected("bob", "b")
    await eventually(lambda: len(cluster.told) == 2)
    redis_server.stop()
    await cluster.down()
    began = time.monotonic()
    await one.connected("carol", "c")
    assert await one.online(["alice", "bob", "carol"]) == {"alice", "carol"}
    assert sorted(await one.all_online()) == ["alice", "carol"]
    assert time.monotonic() - began < 0.1
    await one.disconnected("alice", "a")
    await eventually(lambda: {("carol", True), ("alice", False)} <= set(cluster.told))
    redis_server.start()
    await cluster.ready()
    await eventually(partial(is_online, two, "bob", "carol"))
    assert cluster.told.count(("bob", True)) == 1
    assert ("bob", False) not in cluster.told


async def test_a_hung_redis_holds_up_no_connect(cluster: Cluster, redis_server: RedisServer) -> None:
    one = await cluster.join()
    redis_server.pause()
    for name in ("alice", "bob"):
        began = time.monotonic()
        await one.connected(name, name)
        assert time.monotonic() - began < 0.2
    assert await one.online(["alice", "bob"]) == {"alice", "bob"}
    await eventually(lambda: {("alice", True), ("bob", True)} <= set(cluster.told))
    redis_server.resume()
    await cluster.ready()
    two = await cluster.join()
    await eventually(partial(is_online, two, "alice", "bob"))


async def test_redis_down_at_the_start_is_made_good_later(cluster: Cluster, redis_server: RedisServer) -> None:
    redis_server.stop()
    one = await cluster.join(wait=False)
    await one.connected("alice", "a")
    await eventually(lambda: cluster.told == [("alice", True)])
    redis_server.start()
    await cluster.ready()
    two = await cluster.join()
    await eventually(partial(is_online, two, "alice"))
    await one.disconnected("alice", "a")
    await eventually(lambda: ("alice", False) in cluster.told)


async def test_a_server_that_was_frozen_past_its_lease_says_again_who_is_here(cluster: Cluster) -> None:
    one = await cluster.join(heartbeat=60)
    two = await cluster.join()
    await one.connected("alice", "a")
    await eventually(lambda: ("alice", False) in cluster.told)
    one._nudge.set()
    await eventually(lambda: cluster.told.count(("alice", True)) == 2)
    assert await two.online(["alice"]) == {"alice"}
