"""Redis bus: messages arrive, and it recovers from everything that happens to Redis."""

import asyncio

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.protocol.adapter import MalformedMessage
from rtserver.telemetry.metrics import Metrics
from tests.cluster.conftest import MakeBus
from tests.support.at_once import at_once
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer


class Inbox:
    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []

    def __call__(self, channel: str, payload: bytes) -> None:
        self.messages.append((channel, payload))

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.messages]


async def test_a_thousand_messages_arrive_in_the_order_they_were_published(bus: MakeBus) -> None:
    inbox, sender, receiver = Inbox(), await bus(), await bus()
    receiver.subscribe("news", inbox)
    assert await receiver.wait_subscribed("news")
    for number in range(1000):
        sender.publish("news", b"%d" % number)
    await eventually(lambda: len(inbox.messages) == 1000)
    assert inbox.payloads == [b"%d" % number for number in range(1000)]


async def test_a_subscription_from_before_the_start_gets_messages_once_ready(redis_server: RedisServer) -> None:
    inbox = Inbox()
    one = RedisBus(redis_server.url, Metrics())
    one.subscribe("ne?s*", inbox, pattern=True)
    await one.start()
    assert await one.wait_ready(5)
    one.publish("news#1", b"x")
    await eventually(lambda: inbox.messages == [("news#1", b"x")])
    await one.stop()


async def test_after_unsubscribing_no_message_arrives(bus: MakeBus, redis_client: redis.asyncio.Redis) -> None:
    inbox, one = Inbox(), await bus()
    one.subscribe("news", inbox)
    assert await one.wait_subscribed("news")
    one.unsubscribe("news", inbox)

    async def nobody_listens() -> bool:
        return (await redis_client.pubsub_numsub("news"))[0][1] == 0

    await eventually(nobody_listens)
    assert one.ready


async def test_a_failing_handler_is_counted_and_the_next_message_is_handled(bus: MakeBus) -> None:
    seen: list[bytes] = []

    def handler(channel: str, payload: bytes) -> None:
        seen.append(payload)
        if payload == b"bad":
            raise MalformedMessage("bad")
        if payload == b"bug":
            raise RuntimeError("bug")

    one = await bus(max_message=100)
    one.subscribe("news", handler)
    assert await one.wait_subscribed("news")
    for payload in (b"bad", b"bug", b"x" * 101, b"good"):
        one.publish("news", payload)
    await eventually(lambda: seen == [b"bad", b"bug", b"good"])
    metrics = one.metrics
    assert isinstance(metrics, Metrics)
    assert metrics.rejections == {"cluster_message": 2, "cluster_handler": 1}


async def test_each_caller_gets_its_own_reply(bus: MakeBus) -> None:
    one = await bus()
    assert 0 < await one.ping() < 1
    answers = await asyncio.gather(*(one.ask("ECHO", str(number)) for number in range(500)))
    assert answers == [str(number).encode() for number in range(500)]
    with pytest.raises(Unavailable):
        await one.ask("NO-SUCH-COMMAND")
    assert await one.ask("ECHO", "still here") == b"still here"


async def test_redis_down_at_the_start_delays_nothing_and_is_found_later(redis_server: RedisServer) -> None:
    redis_server.stop()
    metrics, inbox = Metrics(), Inbox()
    one = RedisBus(redis_server.url, metrics)
    one.subscribe("news", inbox)
    at_once(one.start())
    one.publish("news", b"nobody hears it")
    with pytest.raises(Unavailable):
        at_once(one.ask("PING"))
    assert not one.ready
    assert metrics.redis_up is False
    redis_server.start()
    assert await one.wait_ready(10)
    assert metrics.redis_up is True
    one.publish("news", b"hello")
    await eventually(lambda: b"hello" in inbox.payloads)
    await one.stop()


async def test_an_unreachable_address_is_survived() -> None:
    one = RedisBus(f"redis://user:secret@127.0.0.1:{free_port()}/0", Metrics())
    with capture_logs() as logs:
        await one.start()
        await eventually(lambda: logs)
        await one.stop()
    assert "secret" not in str(logs)


async def test_killed_connections_are_reopened_and_get_messages_again(
    bus: MakeBus, redis_client: redis.asyncio.Redis
) -> None:
    inbox, one = Inbox(), await bus()
    one.subscribe("news", inbox)
    assert await one.wait_subscribed("news")
    for kind in ("normal", "pubsub"):
        changes: list[bool] = []
        one.on_change(changes.append)
        await redis_client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        one.publish("news", b"into the dark")
        await eventually(lambda: changes[-2:] == [False, True])  # noqa: B023
        one.publish("news", kind.encode())
        await eventually(lambda: kind.encode() in inbox.payloads)  # noqa: B023


async def test_an_idle_connection_that_was_killed_loses_no_message(
    bus: MakeBus, redis_client: redis.asyncio.Redis
) -> None:
    inbox, sender, receiver = Inbox(), await bus(), await bus()
    receiver.subscribe("news", inbox)
    assert await receiver.wait_subscribed("news")
    await redis_client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await redis_client.ping()
    await asyncio.sleep(0)  # the end of the stream has been read
    sender.publish("news", b"hello")
    await eventually(lambda: inbox.payloads == [b"hello"])
    assert isinstance(sender.metrics, Metrics)
    assert not sender.metrics.drops


async def test_a_restart_of_redis_is_two_log_lines_however_much_is_published(
    bus: MakeBus, redis_server: RedisServer
) -> None:
    inbox, one = Inbox(), await bus()
    one.subscribe("news", inbox)
    assert await one.wait_subscribed("news")
    with capture_logs() as logs:
        redis_server.stop()
        await eventually(lambda: not one.ready)
        for _ in range(200):
            one.publish("news", b"lost")
            await asyncio.sleep(0)
        redis_server.start()
        assert await one.wait_ready(10)
        one.publish("news", b"found")
        await eventually(lambda: b"found" in inbox.payloads)
    assert [line["event"] for line in logs] == ["redis_unreachable", "redis_connected"]


async def test_messages_that_waited_too_long_for_redis_are_dropped_and_counted(
    bus: MakeBus, redis_server: RedisServer
) -> None:
    inbox, one = Inbox(), await bus(max_age=0.0)
    one.subscribe("news", inbox)
    redis_server.stop()
    await eventually(lambda: not one.ready)
    for _ in range(200):
        one.publish("news", b"old")
    with capture_logs() as logs:
        redis_server.start()
        assert await one.wait_ready(10)
    assert isinstance(one.metrics, Metrics)
    assert one.metrics.drops["redis_publish"] == 200
    assert logs[-1]["messages_lost"] <= 200
    assert not inbox.messages


async def test_a_hung_redis_blocks_no_publish_and_is_noticed_and_comes_back(
    bus: MakeBus, redis_server: RedisServer
) -> None:
    inbox, one = Inbox(), await bus()
    one.subscribe("news", inbox)
    assert await one.wait_subscribed("news")
    redis_server.pause()
    for _ in range(100):
        one.publish("news", b"x" * 10_000)
        await asyncio.sleep(0)
    await eventually(lambda: not one.ready)
    redis_server.resume()
    assert await one.wait_ready(15)
    one.publish("news", b"back")
    await eventually(lambda: b"back" in inbox.payloads)


async def test_an_idle_hung_redis_is_noticed(bus: MakeBus, redis_server: RedisServer) -> None:
    one = await bus()
    redis_server.pause()
    await eventually(lambda: not one.ready, 6)
    redis_server.resume()


async def test_a_full_buffer_drops_the_oldest_and_counts_them(redis_server: RedisServer) -> None:
    redis_server.stop()
    metrics, inbox = Metrics(), Inbox()
    one = RedisBus(redis_server.url, metrics, max_messages=3, max_age=60)
    one.subscribe("news", inbox)
    for number in range(5):
        one.publish("news", b"%d" % number)
    assert metrics.drops["redis_publish"] == 2
    small = RedisBus(redis_server.url, metrics, max_bytes=1000)
    small.publish("news", b"x" * 2000)
    assert metrics.drops["redis_publish"] == 3


async def test_a_message_larger_than_the_buffer_is_the_only_one_lost(bus: MakeBus) -> None:
    """Messages that wait before it are not dropped to make room for it."""
    inbox, one = Inbox(), await bus(max_bytes=50_000)
    one.subscribe("news", inbox)
    assert await one.wait_subscribed("news")
    for number in range(10):
        one.publish("news", b"%d" % number)
    one.publish("news", b"x" * 60_000)
    with pytest.raises(Unavailable):
        await one.ask("ECHO", b"x" * 60_000)
    one.publish("news", b"end")
    await eventually(lambda: b"end" in inbox.payloads)
    assert inbox.payloads == [*(b"%d" % number for number in range(10)), b"end"]
    assert one.metrics.drops == {"redis_publish": 1}  # type: ignore[attr-defined]


async def test_published_messages_are_sent_before_the_bus_stops(bus: MakeBus) -> None:
    inbox, sender, receiver = Inbox(), await bus(), await bus()
    receiver.subscribe("news", inbox)
    assert await receiver.wait_subscribed("news")
    sender.publish("news", b"last words")
    await sender.stop()
    await eventually(lambda: inbox.payloads == [b"last words"])


async def test_a_rejected_password_is_an_outage_not_a_crash(
    bus: MakeBus, redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> None:
    await redis_client.config_set("requirepass", "changed")
    with capture_logs() as logs:
        one = await bus(wait=False)
        await eventually(lambda: logs)
        assert not one.ready
        await redis_client.config_set("requirepass", "")
        assert await one.wait_ready(10)
