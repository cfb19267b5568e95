"""Who is in a room now. The first half holds on one server without Redis as in a cluster, the rest in a cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
import redis.asyncio

from rtserver.cluster.presence import MemoryPresence
from rtserver.sio.broadcast.room_presence import RoomPresence
from tests.cluster.presence.test_presence import GRACE, HEARTBEAT, LEASE, Cluster
from tests.support.at_once import at_once
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

CHAT = "/chat"
ROOM = (CHAT, "general")


@pytest.fixture
async def cluster(redis_server: RedisServer) -> AsyncIterator[Cluster]:
    made = Cluster(redis_server.url)
    yield made
    await made.stop()


@pytest.fixture(params=["memory", "redis"])
async def servers(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[tuple[RoomPresence, RoomPresence]]:
    """Where clients are, and where the question is asked: without Redis the same."""
    if request.param == "redis":
        one, two = await cluster.join(), await cluster.join()
        yield one.rooms, two.rooms
        return
    memory = MemoryPresence(GRACE)
    await memory.start()
    yield memory.rooms, memory.rooms
    await memory.stop()


async def counted(asked: RoomPresence, room: str = "general", namespace: str = CHAT) -> dict[str, int]:
    return {one.user: one.devices for one in await asked.page(namespace, room)}


async def tells(asked: RoomPresence, expected: dict[str, int], room: str = "general") -> bool:
    """Whether these are in the room, and the answer lacks nobody."""
    found = await asked.page(CHAT, room)
    return {one.user: one.devices for one in found} == expected and not found.partial


# Every one.


async def test_users_are_in_a_room_with_their_devices_until_the_last_has_left(
    servers: tuple[RoomPresence, RoomPresence],
) -> None:
    here, asked = servers
    for user in ("bob", "alice", "alice"):
        here.entered(ROOM, user)
    here.entered((CHAT, "other"), "carol")
    here.entered(("/tracking", "general"), "dave")
    await eventually(partial(tells, asked, {"alice": 2, "bob": 1}))
    assert [one.user for one in await asked.page(*ROOM)] == ["alice", "bob"]
    assert [one.instances for one in await asked.page(*ROOM)] == [{here.instance: 2}, {here.instance: 1}]
    assert await counted(asked, namespace="/tracking") == {"dave": 1}
    assert len(here) == 4
    here.left(ROOM, "alice")
    here.left(ROOM, "bob")
    await eventually(partial(tells, asked, {"alice": 1}))
    here.left(ROOM, "alice")
    await eventually(partial(tells, asked, {}))
    assert len(here) == 2


async def test_those_asked_for_are_found_in_the_order_asked(servers: tuple[RoomPresence, RoomPresence]) -> None:
    here, asked = servers
    users = [f"user{number}" for number in range(250)]
    for user in users:
        here.entered(ROOM, user)
    await eventually(partial(tells, asked, dict.fromkeys(users, 1)))
    wanted = ["nobody", *reversed(users), "user7"]
    assert [one.user for one in await asked.among(*ROOM, wanted)] == users[::-1]
    assert await asked.among(*ROOM, []) == []
    assert await asked.among(CHAT, "elsewhere", users) == []


async def test_a_crowded_room_is_told_in_pages(servers: tuple[RoomPresence, RoomPresence]) -> None:
    here, asked = servers
    users = sorted(f"user{number}" for number in range(25))
    for user in users:
        here.entered(ROOM, user)
    await eventually(partial(tells, asked, dict.fromkeys(users, 1)))
    told: list[str] = []
    after = None
    for left in (15, 5, 0):
        page = await asked.page(*ROOM, after, 10)
        told += [one.user for one in page]
        after = page.next
        assert (after is None) == (left == 0)
    assert told == users
    assert len(await asked.page(*ROOM, limit=25)) == 25
    assert (await asked.page(*ROOM, limit=25)).next is None
    assert len(await asked.page(*ROOM, limit=0)) == 1


async def test_odd_and_long_names_are_names_like_any_other(servers: tuple[RoomPresence, RoomPresence]) -> None:
    """None is taken for another, or for the end of one."""
    here, asked = servers
    names = [
        "", "a", "a b", "ab", "é😀", "*", "{x}", "a:b", "\n\0", "a\0", "a\0b", "\0", "\ud800", "0", "\xff", "x" * 1000
    ]  # fmt: skip
    for room in names:
        for user in names:
            here.entered((CHAT, room), user)
    everybody = dict.fromkeys(names, 1)
    for room in names:
        await eventually(partial(tells, asked, everybody, room))
        assert {one.user for one in await asked.among(CHAT, room, names)} == set(names)
        page = await asked.page(CHAT, room, "", 3)
        assert [one.user for one in page] == sorted(names)[1:4]
    for user in names[1:]:
        here.left((CHAT, ""), user)
    await eventually(partial(tells, asked, {"": 1}, ""))
    await eventually(partial(tells, asked, everybody, "a"))


async def test_who_flaps_is_told_as_it_stands_in_the_end(servers: tuple[RoomPresence, RoomPresence]) -> None:
    here, asked = servers
    for number in range(300):
        here.entered(ROOM, "alice")
        here.entered(ROOM, "bob")
        here.left(ROOM, "alice")
        if number % 10 == 0:
            await asyncio.sleep(0)
    await eventually(partial(tells, asked, {"bob": 300}))
    assert len(here) == 1


# A cluster.


def entries(client: redis.asyncio.Redis, instance: str = "i0") -> Callable[[], Awaitable[list[bytes]]]:
    """What Redis has of an instance, without the mark."""

    async def read() -> list[bytes]:
        return [entry for entry in await client.zrange(f"{{rtserver:presence}}:in:{instance}", 0, -1)
                if not entry.startswith(b"\xff")]  # fmt: skip

    return read


async def test_devices_on_two_servers_are_one_user(cluster: Cluster) -> None:
    one, two, three = [(await cluster.join()).rooms for _ in range(3)]
    for rooms in (one, two, two):
        rooms.entered(ROOM, "alice")
    one.entered(ROOM, "bob")
    for asked in (one, two, three):
        await eventually(partial(tells, asked, {"alice": 3, "bob": 1}))
        [alice] = await asked.among(*ROOM, ["alice"])
        assert alice.instances == {"i0": 1, "i1": 2}
    page = await three.page(*ROOM, limit=1)
    assert [(found.user, found.devices) for found in page] == [("alice", 3)]
    assert page.next == "alice"


async def test_joining_waits_for_nothing_and_a_turn_of_joins_is_one_call(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one = await cluster.join(heartbeat=60)
    await eventually(lambda: not one.rooms.stale and one.rooms._reporting is None)

    async def calls() -> int:
        return int((await redis_client.info("commandstats"))["cmdstat_eval"]["calls"])

    before = await calls()
    for number in range(100):
        one.rooms.entered((CHAT, f"room{number}"), "alice")
    read = entries(redis_client)

    async def said() -> bool:
        return len(await read()) == 100

    await eventually(said)
    assert await calls() == before + 1


async def test_who_was_on_a_killed_server_is_gone_within_its_lease(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, two, three = [await cluster.join() for _ in range(3)]
    for presence in (one, two):
        presence.rooms.entered(ROOM, "bob")
    one.rooms.entered(ROOM, "alice")
    await eventually(partial(tells, three.rooms, {"alice": 1, "bob": 2}))
    await cluster.kill(one)
    await eventually(partial(tells, three.rooms, {"bob": 1}))
    assert await redis_client.exists("{rtserver:presence}:in:i0") == 0


async def test_a_server_that_stops_takes_its_users_along_at_once(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, two = await cluster.join(lease=60), await cluster.join(lease=60)
    one.rooms.entered(ROOM, "alice")
    await eventually(partial(tells, two.rooms, {"alice": 1}))
    await one.stop()
    assert await tells(two.rooms, {})
    assert await redis_client.exists("{rtserver:presence}:in:i0") == 0


async def test_a_silent_server_makes_the_answer_partial_until_it_is_declared_dead(cluster: Cluster) -> None:
    """Its clients may have left, and others come."""
    one, two = [await cluster.join(lease=3.0, heartbeat=0.5) for _ in range(2)]
    one.rooms.entered(ROOM, "alice")
    two.rooms.entered(ROOM, "bob")
    await eventually(partial(tells, two.rooms, {"alice": 1, "bob": 1}))
    await cluster.kill(one)

    async def unsure() -> bool:
        found = await two.rooms.page(*ROOM)
        return found.partial and "bob" in [one.user for one in found]

    await eventually(unsure)
    await eventually(partial(tells, two.rooms, {"bob": 1}))


async def test_after_flushall_everything_is_exact_within_a_heartbeat_and_partial_until_then(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, two = [await cluster.join(lease=60, heartbeat=20) for _ in range(2)]  # beats are those that the test makes
    one.rooms.entered(ROOM, "alice")
    two.rooms.entered(ROOM, "bob")
    await one._beat()
    await eventually(partial(tells, two.rooms, {"alice": 1, "bob": 1}))
    await two._beat()  # and has seen the other
    await redis_client.flushall()
    found = await two.rooms.page(*ROOM)
    assert [one.user for one in found] == ["bob"]
    assert found.partial
    await two._beat()  # which is not enough for the other
    assert (await two.rooms.page(*ROOM)).partial
    assert (await two.rooms.among(*ROOM, ["alice"])).partial
    await one._beat()
    await eventually(partial(tells, two.rooms, {"alice": 1, "bob": 1}))
    await eventually(partial(tells, one.rooms, {"alice": 1, "bob": 1}))


async def test_while_redis_is_down_a_server_knows_of_itself_and_afterwards_of_all(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    one, two = await cluster.join(), await cluster.join()
    for user in ("alice", "leaving"):
        one.rooms.entered(ROOM, user)
    two.rooms.entered(ROOM, "bob")
    await eventually(partial(tells, two.rooms, {"alice": 1, "bob": 1, "leaving": 1}))
    redis_server.stop()
    await cluster.down()
    one.rooms.left(ROOM, "leaving")
    one.rooms.entered(ROOM, "carol")
    found = at_once(one.rooms.page(*ROOM))
    assert {each.user for each in found} == {"alice", "carol"}
    assert found.partial
    redis_server.start()
    await cluster.ready()
    await eventually(partial(tells, two.rooms, {"alice": 1, "bob": 1, "carol": 1}))


async def test_a_hung_redis_is_not_waited_for_and_costs_nobody_the_room(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    one, two = await cluster.join(), await cluster.join()
    one.rooms.entered(ROOM, "alice")
    one.rooms.entered(ROOM, "bob")
    await eventually(partial(tells, two.rooms, {"alice": 1, "bob": 1}))
    redis_server.pause()
    one.rooms.left(ROOM, "bob")
    await asyncio.sleep(LEASE + HEARTBEAT)
    one.rooms.entered(ROOM, "carol")
    assert (await two.rooms.page(*ROOM)).partial
    redis_server.resume()
    await cluster.ready()
    await eventually(partial(tells, two.rooms, {"alice": 1, "carol": 1}))
    assert not one.rooms._dirty


async def test_what_others_write_into_the_key_is_repaired(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    one, two = await cluster.join(), await cluster.join()
    one.rooms.entered(ROOM, "alice")
    await eventually(partial(tells, two.rooms, {"alice": 1}))
    key = "{rtserver:presence}:in:i0"
    original = await entries(redis_client)()

    async def repaired() -> bool:
        return await entries(redis_client)() == original and await tells(two.rooms, {"alice": 1})

    await redis_client.zadd(key, {b"/chat\x00general\x00ghost\x001": 0, b"/chat\x00general\x00odd": 0, b"\xff\x00": 0})
    await eventually(repaired)
    await redis_client.zrem(key, *original)
    await redis_client.zadd(key, {b"/chat\x00general\x00alice\x00999": 0})
    await eventually(repaired)
    await redis_client.zadd(key, {"score": 5})
    await eventually(repaired)
    for kind in (key, "{rtserver:presence}:in:i1", "{rtserver:presence}:new:i0"):
        await redis_client.delete(kind)
        await redis_client.rpush(kind, "garbage")
    await eventually(lambda: cluster.metrics.rejections["presence"])
    await eventually(partial(tells, two.rooms, {"alice": 1}))
    await redis_client.delete(key)
    await eventually(repaired)


async def test_many_rooms_are_said_again_while_clients_come_and_go(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    """What changes while everything is said again is not lost."""
    one, two = await cluster.join(), await cluster.join()
    for number in range(3000):
        one.rooms.entered((CHAT, f"room{number}"), "alice")
    read = entries(redis_client)

    async def said() -> bool:
        return len(await read()) == len(one.rooms)

    await eventually(said)
    await redis_client.flushall()
    one._nudge.set()
    for number in range(0, 3000, 3):
        one.rooms.left((CHAT, f"room{number}"), "alice")
        one.rooms.entered((CHAT, f"room{number}"), "bob")
        if number % 50 == 0:
            await asyncio.sleep(0)
    await eventually(said)
    await eventually(partial(tells, two.rooms, {"bob": 1}, "room2997"))
    await eventually(partial(tells, two.rooms, {"alice": 1}, "room2998"))
    assert not [entry for entry in await read() if b"alice" in entry and b"room2997\x00" in entry]


async def test_a_heartbeat_costs_the_same_for_one_room_and_a_thousand(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one = await cluster.join(heartbeat=60)

    async def bytes_of_a_beat() -> int:
        await eventually(lambda: one.rooms._reporting is None)
        before: int = (await redis_client.info("stats"))["total_net_input_bytes"]
        await one._beat()
        await eventually(lambda: one.rooms._reporting is None)
        after: int = (await redis_client.info("stats"))["total_net_input_bytes"]
        return after - before

    for number in range(200):
        one.rooms.entered((CHAT, f"room{number}"), "alice")
    few = await bytes_of_a_beat()
    for number in range(3000):
        one.rooms.entered((CHAT, f"room{number}"), "bob")
    many = await bytes_of_a_beat()
    assert many < few + 5000
