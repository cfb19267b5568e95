"""Presence. The first half is run for every implementation, the rest for that of a cluster."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from rtserver.cluster.presence import MemoryPresence, Presence, scripts
from rtserver.cluster.presence.redis_presence import RedisPresence
from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.telemetry.metrics import Metrics
from tests.support.at_once import at_once
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

GRACE = 0.2
LEASE = 3.0
HEARTBEAT = 0.3


class Watcher:
    """The changes that one server announced."""

    def __init__(self, presence: Presence) -> None:
        self.told: list[tuple[str, bool]] = []
        presence.subscribe(self._on_change)

    async def _on_change(self, user: str, online: bool) -> None:
        self.told.append((user, online))


class Cluster:
    """Servers with a presence on one Redis. `kill` ends one as `kill -9` would: it reports nothing more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.metrics = Metrics()
        self._running: list[tuple[RedisBus, RedisPresence]] = []
        self.watchers: list[Watcher] = []

    async def join(self, *, wait: bool = True, **options: Any) -> RedisPresence:
        bus = RedisBus(self._url, self.metrics)
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


async def is_online(presence: Presence, *users: str, limit: int = 1000) -> bool:
    """Whether exactly these users are online."""
    return sorted(await presence.all_online(limit)) == sorted(users)


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


async def test_a_user_comes_online_with_the_first_device_and_goes_offline_after_the_last(presence: Presence) -> None:
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


async def test_a_user_who_returns_within_the_grace_is_not_announced(presence: Presence) -> None:
    watcher = Watcher(presence)
    for number in range(5):
        await presence.connected("alice", f"s{number}")
        await presence.disconnected("alice", f"s{number}")
    assert await presence.online(["alice"]) == {"alice"}
    await presence.connected("bob", "later")
    await presence.disconnected("bob", "later")
    await eventually(lambda: ("bob", False) in watcher.told)
    assert [online for user, online in watcher.told if user == "alice"] == [True, False]


async def test_a_device_that_is_reported_twice_counts_once(presence: Presence) -> None:
    watcher = Watcher(presence)
    await presence.connected("alice", "phone")
    await presence.connected("alice", "phone")
    await presence.disconnected("alice", "phone")
    await presence.disconnected("alice", "phone")
    await presence.disconnected("nobody", "phone")
    await eventually(lambda: len(watcher.told) == 2)
    assert watcher.told == [("alice", True), ("alice", False)]


async def test_a_failing_subscriber_does_not_affect_others(presence: Presence) -> None:
    async def failing(user: str, online: bool) -> None:
        raise RuntimeError("bug")

    presence.subscribe(failing)
    watcher = Watcher(presence)
    await presence.connected("alice", "phone")
    await eventually(lambda: watcher.told == [("alice", True)])


async def test_unusual_user_ids_work(presence: Presence) -> None:
    names = ["", "a b", "é😀", "*", "{x}", "a:b", "\n\0", "\ud800", "0", "x" * 5000, "{rtserver:presence}:online"]
    for name in names:
        await presence.connected(name, "sid")
    assert await presence.online(names) == set(names)
    assert sorted(await presence.all_online()) == sorted(names)
    found = await presence.devices(names)
    assert set(found) == set(names)
    assert {count for at in found.values() for count in at.values()} == {1}


async def test_devices_are_counted(presence: Presence) -> None:
    for user, sid in [("alice", "a"), ("alice", "b"), ("alice", "c"), ("bob", "d"), ("carol", "e")]:
        await presence.connected(user, sid)
    await presence.disconnected("alice", "b")
    await presence.disconnected("carol", "e")

    async def counted() -> bool:
        found = await presence.devices(["alice", "bob", "carol", "nobody"])
        return {user: list(at.values()) for user, at in found.items()} == {"alice": [2], "bob": [1]}

    await eventually(counted)
    assert await presence.devices([]) == {}


async def test_a_complete_answer_is_not_partial(presence: Presence) -> None:
    await presence.connected("alice", "a")
    assert not (await presence.online(["alice", "bob"])).partial
    assert not (await presence.all_online()).partial


async def test_a_query_for_no_users_returns_none(presence: Presence) -> None:
    assert await presence.online([]) == set()
    assert await presence.all_online(limit=0) == []


# A cluster.


async def test_devices_on_two_servers_are_one_user_and_each_change_is_announced_once(cluster: Cluster) -> None:
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


async def test_a_user_who_moves_to_another_server_is_not_announced(cluster: Cluster) -> None:
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
    await cluster.kill(one)
    await eventually(lambda: {("alice", False), ("leaving", False)} <= set(cluster.told))
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


async def test_many_users_of_a_dead_server_go_offline(cluster: Cluster) -> None:
    """All of them, even if that takes the work of many heartbeats."""
    one, two = [await cluster.join(lease=2.1, heartbeat=1.0) for _ in range(2)]
    users = [f"user{number}" for number in range(3000)]
    await asyncio.gather(*(one.connected(user, user) for user in users))
    await eventually(partial(is_online, two, *users, limit=5000))
    await cluster.kill(one)
    await eventually(lambda: sum(1 for _, online in cluster.told if not online) == 3000, 8)
    assert await two.all_online() == []
    assert len(cluster.told) == len(set(cluster.told)) == 6000


async def test_after_flushall_presence_is_restored_within_a_heartbeat_without_announcements(
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


async def test_a_user_who_leaves_right_after_flushall_goes_offline_once(
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
    await one.connected("carol", "c")
    online, everybody = at_once(one.online(["alice", "bob", "carol"])), at_once(one.all_online())
    assert online == set(everybody) == {"alice", "carol"}
    assert online.partial
    assert everybody.partial
    with pytest.raises(Unavailable):
        at_once(one.devices(["alice"]))
    await one.disconnected("alice", "a")
    await eventually(lambda: {("carol", True), ("alice", False)} <= set(cluster.told))
    redis_server.start()
    await cluster.ready()
    await eventually(partial(is_online, two, "bob", "carol"))
    assert cluster.told.count(("bob", True)) == 1
    assert ("bob", False) not in cluster.told


async def test_a_hung_redis_delays_no_connect(cluster: Cluster, redis_server: RedisServer) -> None:
    one = await cluster.join()
    redis_server.pause()
    for name in ("alice", "bob"):
        await one.connected(name, name)
        assert (name, True) not in cluster.told  # as it is once Redis has been given up
    assert await one.online(["alice", "bob"]) == {"alice", "bob"}
    await eventually(lambda: {("alice", True), ("bob", True)} <= set(cluster.told))
    redis_server.resume()
    await cluster.ready()
    two = await cluster.join()
    await eventually(partial(is_online, two, "alice", "bob"))


async def test_users_are_reported_later_if_redis_is_down_at_the_start(
    cluster: Cluster, redis_server: RedisServer
) -> None:
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


async def test_a_server_that_was_frozen_beyond_its_lease_reports_its_users_again(cluster: Cluster) -> None:
    one = await cluster.join(heartbeat=60)
    two = await cluster.join()
    await one.connected("alice", "a")
    await eventually(lambda: ("alice", False) in cluster.told)
    one._nudge.set()
    await eventually(lambda: cluster.told.count(("alice", True)) == 2)
    assert await two.online(["alice"]) == {"alice"}


async def test_users_stay_online_when_redis_hangs_for_longer_than_the_lease(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    one, two = await cluster.join(), await cluster.join()
    await one.connected("alice", "a")
    await two.connected("bob", "b")
    redis_server.pause()
    await asyncio.sleep(LEASE + HEARTBEAT)
    redis_server.resume()
    await cluster.ready()
    await two.connected("carol", "c")
    await two.disconnected("carol", "c")
    await eventually(lambda: ("carol", False) in cluster.told)
    assert sorted(cluster.told) == [("alice", True), ("bob", True), ("carol", False), ("carol", True)]


async def test_foreign_values_in_the_keys_are_repaired(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    """Keys of a wrong type, users without a device, instances that never existed: counted, and removed after a while.

    The grace is longer than the heartbeat, as by default: an instance that is wrongly declared dead reports in time.
    """
    one, two = await cluster.join(grace=4.0), await cluster.join(grace=4.0)
    await one.connected("alice", "a")
    await two.connected("bob", "b")
    p = "{rtserver:presence}"
    for key in ("leases", "online", "leaving", "epoch", "on:i0", "instance:i1"):
        async with redis_client.pipeline() as at_once:  # no heartbeat comes between
            await at_once.delete(f"{p}:{key}").rpush(f"{p}:{key}", "garbage").execute()
        if key != "instance:i1":  # which the next heartbeat overwrites
            await eventually(lambda: cluster.metrics.rejections["presence"])
        await eventually(partial(is_online, one, "alice", "bob"))
        cluster.metrics.rejections.clear()
    await redis_client.hset(f"{p}:on:i0", mapping={"ghost": "x", b"\xff": "1"})
    await redis_client.zadd(f"{p}:online", {"phantom": 1, "bob": 5})
    await redis_client.zadd(f"{p}:online", {b"\xfe": 1})
    await redis_client.zadd(f"{p}:leases", {"never": float("inf"), "i1": -5})
    await redis_client.zadd(f"{p}:leases", {f"nobody{number}": number for number in range(5000)})
    await redis_client.zadd(f"{p}:leaving", {"bob": float("inf"), "stranger": 0})
    await redis_client.hdel(f"{p}:on:i1", "bob")
    await eventually(partial(is_online, two, "alice", "bob"))
    assert cluster.metrics.rejections["presence"] > 0

    async def two_leases() -> bool:
        return bool(await redis_client.zcard(f"{p}:leases") == 2)

    await eventually(two_leases)
    assert await two.devices(["alice", "bob", "ghost"]) == {"alice": {"i0": 1}, "bob": {"i1": 1}}
    assert [user for user, online in cluster.told if not online and user in ("alice", "bob")] == []
    await one.disconnected("alice", "a")
    await eventually(lambda: ("alice", False) in cluster.told)


async def test_too_many_foreign_users_of_a_server_are_removed_unread(
    cluster: Cluster, redis_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a million names would exceed the timeout, at every heartbeat."""
    monkeypatch.setattr(scripts, "MAX_FOREIGN_USERS", 100)
    one, key = await cluster.join(), "{rtserver:presence}:on:i0"
    await one.connected("alice", "a")
    ghosts = {f"ghost{number}": 1 for number in range(500)}
    await redis_client.hset(key, mapping=ghosts)

    async def alone() -> bool:
        return bool(await redis_client.hkeys(key) == [b"alice"])

    await eventually(alone)
    assert cluster.metrics.rejections["presence"] > 0
    assert cluster.told == [("alice", True)]
    assert await is_online(one, "alice")


async def test_a_heartbeat_costs_the_same_for_ten_users_and_a_thousand(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one = await cluster.join(heartbeat=60)

    async def bytes_of_a_beat() -> int:
        before: int = (await redis_client.info("stats"))["total_net_input_bytes"]
        await one._beat()
        after: int = (await redis_client.info("stats"))["total_net_input_bytes"]
        return after - before

    await asyncio.gather(*(one.connected(f"u{number}", "s") for number in range(200)))
    few = await bytes_of_a_beat()
    await asyncio.gather(*(one.connected(f"u{number}", "s") for number in range(200, 3000)))
    many = await bytes_of_a_beat()
    assert many < few + 2000
    assert many < 20_000


async def test_all_keys_of_a_stopped_cluster_expire(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    one = await cluster.join()
    await one.connected("alice", "a")
    await one._beat()
    keys = await redis_client.keys("*")
    assert len(keys) == 6
    assert all([0 < await redis_client.pttl(key) <= 3_600_000 for key in keys])


async def test_two_servers_with_one_instance_id_are_logged(
    cluster: Cluster, redis_server: RedisServer, capfd: pytest.CaptureFixture[str]
) -> None:
    one = await cluster.join()
    bus = RedisBus(redis_server.url, Metrics())
    other = RedisPresence(bus, "i0", heartbeat=HEARTBEAT)
    await bus.start()
    await other.start()
    await eventually(lambda: "instance_id_taken" in capfd.readouterr().out)
    await other.stop()
    await bus.stop()
    assert one
