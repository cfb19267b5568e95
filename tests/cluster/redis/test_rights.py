"""Rights in Redis: what a user or a managed Redis lacks is named, with what works without it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import NoPermissionError, ResponseError
from structlog.testing import capture_logs

from rtserver.cluster.emitter.emitter import Emitter
from rtserver.cluster.presence.redis_presence import RedisPresence
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.connection import connector
from rtserver.cluster.redis.rights import refusal_of
from rtserver.errors import Unavailable
from rtserver.ingest.redis_stream import RedisStreamConsumer
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.process import Processes
from tests.support.redis_server import RedisServer

QUICK: dict[str, Any] = {"heartbeat": 0.2, "timeout": 0.5}


class Account:
    """A Redis user with some rights; buses with these rights end with it."""

    def __init__(self, server: RedisServer, client: redis.asyncio.Redis) -> None:
        self.url = f"redis://rt:hush@127.0.0.1:{server.port}/0"
        self._client = client
        self._buses: list[RedisBus] = []

    async def may(self, *rights: str) -> None:
        await self._client.execute_command("ACL", "SETUSER", "rt", "reset", "on", ">hush", *rights)

    async def bus(self) -> RedisBus:
        bus = RedisBus(self.url, Metrics(), **QUICK)
        self._buses.append(bus)
        return bus

    async def stop(self) -> None:
        for bus in self._buses:
            await bus.stop()


@pytest.fixture
async def account(redis_server: RedisServer, redis_client: redis.asyncio.Redis) -> AsyncIterator[Account]:
    made = Account(redis_server, redis_client)
    yield made
    await made.stop()


def refusals(logs: list[Any]) -> list[tuple[str, str]]:
    return [(line["command"], line["code"]) for line in logs if line["event"] == "redis_refuses"]


def subscribe(bus: RedisBus, kind: str) -> None:
    if kind == "SSUBSCRIBE":
        bus.ssubscribe("socket.io#/chat#", lambda channel, payload: None)
    else:
        bus.subscribe("socket.io#/chat#*", lambda channel, payload: None, pattern=kind == "PSUBSCRIBE")


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ("PSUBSCRIBE", "RTSERVER_REDIS_ADAPTER=sharded"),
        ("SUBSCRIBE", "RTSERVER_PYTHON_SOCKETIO_CHANNEL=off"),
        ("SSUBSCRIBE", "RTSERVER_REDIS_ADAPTER=classic"),
    ],
)
async def test_a_subscription_that_is_forbidden_is_named_and_is_no_outage(
    account: Account, command: str, instead: str
) -> None:
    await account.may("+@all", f"-{command.lower()}", "~*", "&*")
    with capture_logs() as logs:
        bus = await account.bus()
        subscribe(bus, command)
        await bus.start()
        await eventually(lambda: refusals(logs))
        assert not bus.ready
        await account.may("+@all", "~*", "&*")
        assert await bus.wait_ready(10)
    assert refusals(logs) == [(command, "NOPERM")]
    assert [line["event"] for line in logs] == ["redis_refuses", "redis_connected"]
    for part in (command, f"+{command.lower()}", "@pubsub", instead):
        assert part in logs[0]["reason"]
    assert "hush" not in str(logs)


@pytest.mark.parametrize("command", ["PSUBSCRIBE", "SSUBSCRIBE"])
async def test_a_subscription_that_a_managed_redis_does_not_have_is_named(processes: Processes, command: str) -> None:
    server = RedisServer(processes, "--rename-command", command, "")
    server.start()
    bus = RedisBus(server.url, Metrics(), **QUICK)
    subscribe(bus, command)
    with capture_logs() as logs:
        await bus.start()
        await eventually(lambda: refusals(logs))
        await bus.stop()
    assert refusals(logs) == [(command, "ERR")]
    assert logs[0]["reason"].startswith(f"This Redis has no {command}")
    assert "RTSERVER_REDIS_ADAPTER=" in logs[0]["reason"]


async def test_without_psubscribe_the_sharded_adapter_works(account: Account) -> None:
    """As the log says."""
    await account.may("+@all", "-psubscribe", "~*", "&*")
    with capture_logs() as logs:
        bus = await account.bus()
        heard: list[bytes] = []
        bus.ssubscribe("socket.io#/chat#", lambda channel, payload: heard.append(payload))
        bus.subscribe("socketio", lambda channel, payload: None)
        await bus.start()
        assert await bus.wait_ready(5)
        bus.spublish("socket.io#/chat#", b"hello")
        await eventually(lambda: heard == [b"hello"])
    assert refusals(logs) == []


async def test_a_channel_that_is_forbidden_is_named_with_its_rule(account: Account) -> None:
    await account.may("+@all", "~*", "&socketio")
    with capture_logs() as logs:
        bus = await account.bus()
        bus.subscribe("socketio", lambda channel, payload: None)
        bus.subscribe("socket.io-request#/chat#", lambda channel, payload: None)
        await bus.start()
        await eventually(lambda: refusals(logs))
    assert refusals(logs) == [("SUBSCRIBE", "NOPERM")]
    assert "socket.io-request#/chat#" in logs[0]["reason"]
    assert "&socket.io-request*" in logs[0]["reason"]


async def test_a_pattern_is_allowed_by_a_rule_that_is_equal_to_it(account: Account) -> None:
    """For PSUBSCRIBE, Redis compares the texts: a wider rule does not allow a narrower pattern."""
    await account.may("+@all", "~*", "&socket.io*")
    with capture_logs() as logs:
        bus = await account.bus()
        subscribe(bus, "PSUBSCRIBE")
        await bus.start()
        await eventually(lambda: refusals(logs))
        rule = logs[0]["reason"].partition("(ACL rule ")[2].partition(",")[0]
        await account.may("+@all", "~*", rule)
        assert await bus.wait_ready(10)
    assert rule == "&socket.io#/chat#*"


@pytest.mark.parametrize(
    ("rights", "sent", "command", "words"),
    [
        (["-eval"], ("EVAL", "return 1", 0), "EVAL", ["+eval", "@scripting", "Presence"]),
        (["-time"], ("EVAL", "return redis.call('TIME')", 0), "EVAL", ["+time"]),
        (["-pubsub|numsub"], ("PUBSUB", "NUMSUB", "x"), "PUBSUB NUMSUB", ["+pubsub|numsub", "@pubsub", "partial"]),
        (["-publish"], ("PUBLISH", "x", "secret text"), "PUBLISH", ["+publish", "emitters"]),
        (["resetkeys"], ("GET", "secret-key"), "GET", ["key"]),
        (["resetkeys"], ("EVAL", "return 1", 1, "secret-key"), "EVAL", ["key"]),
        (["resetchannels"], ("PUBLISH", "x", "secret text"), "PUBLISH", ["channel"]),
        (["-xlen"], ("XLEN", "secret-key"), "XLEN", ["@stream", "RTSERVER_INBOX=false"]),
        (["-flushall"], ("FLUSHALL",), "FLUSHALL", ["+flushall"]),
    ],
)
async def test_a_command_that_is_forbidden_is_named_once(
    account: Account, rights: list[str], sent: tuple[Any, ...], command: str, words: list[str]
) -> None:
    await account.may("+@all", "~*", "&*", *rights)
    with capture_logs() as logs:
        bus = await account.bus()
        await bus.start()
        assert await bus.wait_ready(5)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await bus.ask(*sent)
        assert bus.ready
    assert refusals(logs) == [(command, "NOPERM")]
    assert isinstance(bus.metrics, Metrics)
    assert bus.metrics.redis_errors["NOPERM"] == 3
    [line] = [line for line in logs if line["event"] == "redis_refuses"]
    assert all(word in line["reason"] for word in words), line["reason"]
    assert "secret" not in str(logs)


async def test_a_user_who_may_not_even_ping_is_told_so(account: Account) -> None:
    await account.may("+@all", "-hello", "-ping", "~*", "&*")
    with capture_logs() as logs:
        bus = await account.bus()
        await bus.start()
        await eventually(lambda: refusals(logs))
    assert refusals(logs) == [("PING", "NOPERM")]


async def test_hello_is_not_needed(account: Account) -> None:
    await account.may("+@all", "-hello", "~*", "&*")
    with capture_logs() as logs:
        bus = await account.bus()
        await bus.start()
        assert await bus.wait_ready(5)
        await eventually(lambda: bus.metrics.redis_round_trip is not None)
    assert refusals(logs) == []


async def test_an_emitter_without_the_right_to_publish_says_so(account: Account) -> None:
    await account.may("+@all", "-publish", "~*", "&*")
    async with Emitter(account.url) as emitter:
        with pytest.raises(Unavailable, match=r"may not run PUBLISH \(ACL rule \+publish"):
            await emitter.emit("hello")
        await account.may("+@all", "~*", "&other*")
        with pytest.raises(Unavailable, match="may not PUBLISH on the channel"):
            await emitter.emit("hello")


@pytest.mark.parametrize("command", ["XREADGROUP", "XGROUP", "XAUTOCLAIM"])
async def test_an_inbox_without_its_commands_says_so(account: Account, command: str) -> None:
    await account.may("+@all", f"-{command.lower()}", "~*", "&*")
    metrics = Metrics()
    connect = connector(account.url)

    async def process(entries: Any, settle: Any) -> None:
        return None

    with capture_logs() as logs:
        inbox = RedisStreamConsumer(connect, process, metrics, stream="in", dead="in:dead", consumer="me")
        await inbox.start()
        await eventually(lambda: refusals(logs))
        await inbox.stop()
    assert refusals(logs)[0][0].split()[0] == command
    assert "RTSERVER_INBOX=false" in str(logs)


@pytest.mark.parametrize("lacking", ["-eval", "-time"])
async def test_presence_that_cannot_report_calls_its_answers_partial(account: Account, lacking: str) -> None:
    """Nobody reports, so nobody else seems online; that is not known, though."""
    await account.may("+@all", "~*", "&*", lacking)
    bus = await account.bus()
    presence = RedisPresence(bus, "i1", grace=0.1, lease=2, heartbeat=0.5)
    await bus.start()
    assert await bus.wait_ready(5)
    with capture_logs() as logs:
        await presence.start()
        await presence.connected("ada", "s1")
        await eventually(lambda: refusals(logs))
        online, everybody = await presence.online(["ada", "bob"]), await presence.all_online()
        assert (online, online.partial, everybody.partial) == ({"ada"}, True, True)
        await account.may("+@all", "~*", "&*")
        await eventually(lambda: _complete(presence))
    await presence.stop()


async def _complete(presence: RedisPresence) -> bool:
    return not (await presence.online(["ada", "bob"])).partial and not (await presence.all_online()).partial


OTHERS = [
    (NoPermissionError("User rt has no permissions to run the 'psubscribe' command"), "PSUBSCRIBE", "NOPERM"),
    (NoPermissionError("this user has no permissions to run the 'pubsub|numsub' command or its subcommand"),
     "PUBSUB NUMSUB", "NOPERM"),
    (NoPermissionError("No permissions to access a channel"), "SUBSCRIBE", "NOPERM"),
    (NoPermissionError("not for you"), "SUBSCRIBE", "NOPERM"),
    (ResponseError("unknown command `PSUBSCRIBE`, with args beginning with: `secret`, "), "PSUBSCRIBE", "ERR"),
    (ResponseError("Unknown command"), "SUBSCRIBE", "ERR"),
    (ResponseError("unknown command"), "SUBSCRIBE", "ERR"),
    (ResponseError("ACL failure in script: User rt has no permissions to run the 'time' command script: 1, on @u:3."),
     "TIME", "NOPERM"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "command", "code"), OTHERS)
def test_the_words_of_other_versions_are_understood(error: ResponseError, command: str, code: str) -> None:
    refusal = refusal_of(error, "SUBSCRIBE", "socket.io#/#")
    assert refusal is not None
    assert (refusal.command, refusal.code) == (command, code)
    assert "secret" not in refusal.reason


@pytest.mark.parametrize("error", [OSError("x"), ResponseError("OOM command not allowed"), ResponseError("WRONGTYPE")])
def test_other_errors_are_no_refusals(error: Exception) -> None:
    assert refusal_of(error, "GET") is None


async def test_the_rights_in_the_docs_are_sufficient_for_all_parts(account: Account) -> None:
    """Presence and the inbox included: their scripts call TIME, and the inbox is a key of its own."""
    rights = "-@all +@connection +@pubsub +@read +@write +@scripting +time ~{rtserver:* ~rtserver:* &*"
    await account.may(*rights.split())
    metrics, done = Metrics(), []

    async def process(entries: Any, settle: Any) -> None:
        for entry in entries:
            done.append(entry)
            settle(entry, None)

    bus = await account.bus()
    for kind in ("PSUBSCRIBE", "SSUBSCRIBE"):
        subscribe(bus, kind)
    bus.subscribe("socketio", lambda channel, payload: None)
    presence = RedisPresence(bus, "i1", grace=0.1, lease=2, heartbeat=0.2)
    with capture_logs() as logs:
        await bus.start()
        assert await bus.wait_ready(5)
        await presence.start()
        await presence.connected("ada", "s1")
        presence.rooms.entered(("/chat", "hall"), "ada")
        await eventually(lambda: _complete(presence))
        assert not (await presence.rooms.page("/chat", "hall")).partial
        assert await bus.subscribers("socketio") == 1
        stream = "rtserver:inbox"
        inbox = RedisStreamConsumer(
            connector(account.url), process, metrics, stream=stream, dead=f"{stream}:dead", consumer="me", lease=0.5
        )
        await inbox.start()
        await eventually(lambda: metrics.inbox is not None)
        await bus.ask("XADD", stream, "*", "kind", "x")
        await eventually(lambda: done)
        await inbox.stop()
        await presence.stop()
    assert refusals(logs) == []
    assert not metrics.redis_errors
