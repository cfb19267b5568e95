"""rtserver/ingest/redis_stream.py: entries of the stream are delivered until they are done, whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from rtserver.cluster.redis.connection import connector
from rtserver.ingest.redis_stream import MAX_DELIVERIES, RedisStreamConsumer, Settle
from rtserver.ingest.redis_stream_commands import StreamEntry
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.support.redis_topologies import Cluster

STREAM = "rtserver:inbox"
DEAD = "rtserver:inbox:dead"


class Hands:
    """Processes entries by `decide`: None is done, a text the reason of a dead letter, an exception leaves it open."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.decide: Callable[[StreamEntry], Any] = lambda entry: None

    async def process(self, entries: Sequence[StreamEntry], settle: Settle) -> None:
        for entry in entries:
            self.took.append(body(entry))
            fate = self.decide(entry)
            if isinstance(fate, asyncio.Event):
                await fate.wait()
                fate = None
            if not isinstance(fate, Exception):
                settle(entry, fate)


def body(entry: StreamEntry) -> str:
    return entry.fields.get(b"body", b"").decode(errors="replace")


MakeInbox = Callable[..., Any]


@pytest.fixture
async def inbox(redis_server: RedisServer) -> AsyncIterator[MakeInbox]:
    """`await inbox(hands)`: the consumer of one more server, started."""
    made: list[RedisStreamConsumer] = []

    async def make(
        hands: Hands, *, lease: float = 5.0, url: str = redis_server.url, dead: str = DEAD
    ) -> RedisStreamConsumer:
        one = RedisStreamConsumer(
            connector(url, key=STREAM), hands.process, Metrics(),
            stream=STREAM, dead=dead, consumer=f"c{len(made)}", lease=lease,
        )  # fmt: skip
        made.append(one)
        await one.start()
        return one

    yield make
    for one in made:
        await one.stop()


async def leave(client: redis.asyncio.Redis, *bodies: str) -> None:
    for text in bodies:
        await client.xadd(STREAM, {"kind": "emit", "body": text})


async def empty(client: redis.asyncio.Redis) -> bool:
    return await client.xlen(STREAM) == 0


async def test_entries_from_before_and_after_the_start_are_processed_in_order_and_removed(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    hands = Hands()
    await leave(redis_client, "1", "2")
    await inbox(hands)
    await leave(redis_client, "3")
    await eventually(lambda: len(hands.took) == 3)
    assert hands.took == ["1", "2", "3"]
    await eventually(lambda: empty(redis_client))
    assert (await redis_client.xpending(STREAM, "rtserver"))["pending"] == 0


async def test_each_entry_goes_to_one_of_several_servers(inbox: MakeInbox, redis_client: redis.asyncio.Redis) -> None:
    hands = [Hands(), Hands()]
    for one in hands:
        await inbox(one)
    await leave(redis_client, *map(str, range(300)))
    await eventually(lambda: sum(len(one.took) for one in hands) >= 300)
    await eventually(lambda: empty(redis_client))
    assert sorted(map(int, hands[0].took + hands[1].took)) == list(range(300))


async def test_entries_that_can_never_be_executed_go_to_the_dead_letter_stream(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    hands = Hands()
    hands.decide = lambda entry: "invalid_payload: no" if body(entry) == "bad" else None
    await inbox(hands)
    await leave(redis_client, "bad", "good")
    await eventually(lambda: empty(redis_client))
    [(_, buried)] = await redis_client.xrange(DEAD)
    assert buried[b"reason"] == b"invalid_payload: no"
    assert (buried[b"entry:kind"], buried[b"entry:body"]) == (b"emit", b"bad")
    assert hands.took == ["bad", "good"]


async def test_each_reason_of_dead_entries_has_one_line_in_the_log(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    """Without what an entry holds: the dead letter has it."""
    hands = Hands()
    hands.decide = lambda entry: f"invalid_payload: The entry has an unknown {body(entry)[0]}: {body(entry)}"
    with capture_logs() as logs:
        await inbox(hands)
        await leave(redis_client, *(f"field-{number}" for number in range(100)), *("kind-secret" for _ in range(100)))
        await eventually(lambda: empty(redis_client))
    told = [(line["reason"], line["stream"]) for line in logs if line["event"] == "inbox_entry_dead"]
    assert told == [
        ("invalid_payload: The entry has an unknown f", STREAM),
        ("invalid_payload: The entry has an unknown k", STREAM),
    ]
    assert await redis_client.xlen(DEAD) == 200


async def test_entries_of_a_dead_server_are_claimed_after_its_lease(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    await leave(redis_client, "orphan")
    await redis_client.xgroup_create(STREAM, "rtserver", id="0")
    await redis_client.xreadgroup("rtserver", "dead", {STREAM: ">"})
    hands = Hands()
    await inbox(hands, lease=0.3)
    await eventually(lambda: empty(redis_client))
    assert hands.took == ["orphan"]


async def test_entries_that_a_server_still_works_on_are_not_claimed(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    busy, idle, finish = Hands(), Hands(), asyncio.Event()
    busy.decide = lambda entry: finish
    await inbox(busy, lease=0.3)
    await leave(redis_client, "slow")
    await eventually(lambda: busy.took)
    await inbox(idle, lease=0.3)
    await leave(redis_client, "other")
    await eventually(lambda: "other" in idle.took)
    for _ in range(4):  # it has looked for orphans by then
        [pending] = await redis_client.xpending_range(STREAM, "rtserver", "-", "+", 1)
        await eventually(lambda seen=pending: _renewed(redis_client, seen))
        assert pending["times_delivered"] == 1
    assert idle.took == ["other"]
    finish.set()
    await eventually(lambda: empty(redis_client))


async def _renewed(client: redis.asyncio.Redis, seen: dict[str, Any]) -> bool:
    [pending] = await client.xpending_range(STREAM, "rtserver", "-", "+", 1)
    return bool(pending["time_since_delivered"] < seen["time_since_delivered"]) or seen["time_since_delivered"] < 50


async def test_entries_that_fail_each_time_go_to_the_dead_letter_stream_and_delay_no_others(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    hands = Hands()
    hands.decide = lambda entry: RuntimeError() if body(entry) == "hot" else None
    await inbox(hands, lease=0.1)
    await leave(redis_client, "hot", *map(str, range(50)))
    await eventually(lambda: len(hands.took) >= 51)
    await eventually(lambda: redis_client.exists(DEAD))
    await eventually(lambda: empty(redis_client))
    [(_, buried)] = await redis_client.xrange(DEAD)
    assert b"never finished" in buried[b"reason"]
    assert hands.took.count("hot") == MAX_DELIVERIES


async def test_the_consumer_goes_on_after_redis_has_lost_its_data(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    hands = Hands()
    await inbox(hands)
    await leave(redis_client, "before")
    await eventually(lambda: hands.took == ["before"])
    await redis_client.flushall()
    await leave(redis_client, "after")
    await eventually(lambda: hands.took == ["before", "after"])


async def test_a_key_of_another_type_in_place_of_the_stream_is_waited_out(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    hands = Hands()
    await redis_client.set(STREAM, "something else")
    one = await inbox(hands)
    await eventually(lambda: one._metrics.redis_errors["WRONGTYPE"] >= 2)
    assert await redis_client.get(STREAM) == b"something else"
    await redis_client.delete(STREAM)
    await leave(redis_client, "1")
    await eventually(lambda: hands.took == ["1"])


async def test_a_key_of_another_type_in_place_of_the_dead_letter_stream_delays_nothing(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    hands = Hands()
    hands.decide = lambda entry: "no" if body(entry) == "bad" else None
    await redis_client.set(DEAD, "something else")
    await inbox(hands, lease=0.2)
    await leave(redis_client, "bad", "good")
    await eventually(lambda: "good" in hands.took)
    await redis_client.delete(DEAD)
    await eventually(lambda: redis_client.xlen(DEAD))
    await eventually(lambda: empty(redis_client))


async def test_redis_may_stop_and_start(inbox: MakeInbox, redis_server: RedisServer) -> None:
    hands = Hands()
    await inbox(hands)
    for name in ("first", "second"):
        async with redis.asyncio.Redis.from_url(redis_server.url) as client:
            await leave(client, name)
            await eventually(lambda said=name: said in hands.took)
        redis_server.kill()
        redis_server.start()


async def test_stopped_and_dead_consumers_are_removed(inbox: MakeInbox, redis_client: redis.asyncio.Redis) -> None:
    await redis_client.xgroup_create(STREAM, "rtserver", id="0", mkstream=True)
    await redis_client.xgroup_createconsumer(STREAM, "rtserver", "dead")
    await leave(redis_client, "kept")
    await redis_client.xreadgroup("rtserver", "holder", {STREAM: ">"})
    await eventually(lambda: _idle(redis_client, "dead", 100))
    one = await inbox(Hands(), lease=0.02)
    await eventually(lambda: _consumers(redis_client, {b"c0", b"holder"}, {b"c0"}))
    await one.stop()
    assert b"c0" not in {each["name"] for each in await redis_client.xinfo_consumers(STREAM, "rtserver")}


async def _idle(client: redis.asyncio.Redis, name: str, ms: int) -> bool:
    found = {each["name"].decode(): each["idle"] for each in await client.xinfo_consumers(STREAM, "rtserver")}
    return bool(found[name] >= ms)


async def _consumers(client: redis.asyncio.Redis, *either: set[bytes]) -> bool:
    return {each["name"] for each in await client.xinfo_consumers(STREAM, "rtserver")} in either


async def test_the_metrics_report_waiting_entries(inbox: MakeInbox, redis_client: redis.asyncio.Redis) -> None:
    hands, finish = Hands(), asyncio.Event()
    hands.decide = lambda entry: finish
    one = await inbox(hands, lease=0.2)
    await leave(redis_client, *map(str, range(70)))
    await eventually(lambda: hands.took)
    one._measures_at = 0.0
    await eventually(lambda: one._metrics.inbox is not None and one._metrics.inbox.pending)
    assert one._metrics.inbox.pending + one._metrics.inbox.waiting == 70
    finish.set()
    await eventually(lambda: empty(redis_client))
    one._measures_at = 0.0
    await eventually(lambda: one._metrics.inbox[:2] == (0, 0))
    assert b"rtserver_inbox_waiting 0.0" in one._metrics.exposition()


async def test_entries_of_any_bytes_are_passed_on_unchanged(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    seen: list[Any] = []
    hands = Hands()
    hands.decide = lambda entry: seen.append(dict(entry.fields)) or "garbage"
    await inbox(hands)
    await redis_client.xadd(STREAM, {b"\xff\x00": b"\x00" * 10, "": ""})
    await redis_client.xadd(STREAM, {"body": "x" * 3_000_000})
    await eventually(lambda: len(seen) == 2)
    await eventually(lambda: empty(redis_client))
    assert seen[0] == {b"\xff\x00": b"\x00" * 10, b"": b""}
    assert max(len(value) for _, fields in await redis_client.xrange(DEAD) for value in fields.values()) < 100_000


async def test_in_a_redis_cluster_the_stream_is_read_at_its_node(processes: Any, inbox: MakeInbox) -> None:
    cluster = Cluster(processes)
    hands = Hands()
    hands.decide = lambda entry: "no" if body(entry) == "bad" else None
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    await inbox(hands, url=f"redis+cluster://{hosts}", dead="{rtserver:inbox}:dead")
    async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as client:
        await client.xadd(STREAM, {"body": "bad"})
        await client.xadd(STREAM, {"body": "good"})
        await eventually(lambda: hands.took == ["bad", "good"])
        await eventually(lambda: client.xlen("{rtserver:inbox}:dead"))


async def test_an_orphan_behind_many_leased_entries_is_found(
    inbox: MakeInbox, redis_client: redis.asyncio.Redis
) -> None:
    """Redis examines ten entries per call; these come first, and are leased."""
    await leave(redis_client, *map(str, range(40)), "orphan")
    await redis_client.xgroup_create(STREAM, "rtserver", id="0")
    await redis_client.xreadgroup("rtserver", "busy", {STREAM: ">"}, count=40)
    [[_, [(orphan, _)]]] = await redis_client.xreadgroup("rtserver", "dead", {STREAM: ">"})
    await redis_client.xclaim(STREAM, "rtserver", "dead", 0, [orphan], idle=60_000)
    hands = Hands()
    await inbox(hands, lease=30.0)
    await eventually(lambda: hands.took == ["orphan"])
