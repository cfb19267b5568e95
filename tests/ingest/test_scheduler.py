"""rtserver/ingest/scheduler.py: what was put off comes at its time, once, in order, whatever goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rtserver.ingest.intake import checked
from rtserver.ingest.scheduler import ATTEMPTS, Scheduler
from rtserver.store.ingest.schedule import LEASE_MS
from rtserver.telemetry.metrics import Metrics
from tests.ingest.conftest import NOW, Backstage
from tests.support.eventually import eventually

Run = Callable[..., Any]
EMIT: dict[str, Any] = {"namespace": "/chat", "event": "news"}
HOUR_MS = 3_600_000


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """`await run(server)` starts the scheduler of that server."""
    started: list[Scheduler] = []

    async def start(server: Backstage, owner: str = "one", execute: Any = None) -> Scheduler:
        async def through_intake(kind: str, body: Any, origin: str) -> None:
            await server.intake.execute(checked(kind, body), origin=origin)

        scheduler = Scheduler(
            server.schedule, execute or through_intake, Metrics(),
            owner=owner, clean=server.requests.remove_expired, clock=lambda: server.now,
        )  # fmt: skip
        server.intake.on_scheduled = scheduler.nudge
        started.append(scheduler)
        await scheduler.start()
        return scheduler

    yield start
    for scheduler in started:
        await scheduler.stop()


async def put_off(server: Backstage, event: str, ms: int, **more: Any) -> None:
    await server.submit("emit", EMIT | {"event": event, "at": NOW + ms, **more})


async def test_what_was_put_off_comes_when_the_clock_says_so(server: Backstage, run: Run) -> None:
    await put_off(server, "later", 60_000)
    await run(server)
    await asyncio.sleep(0)
    server.now = NOW + 59_999
    await put_off(server, "soon", 60_000)  # wakes it
    assert server.emitted == []
    server.now = NOW + 60_000
    await eventually(lambda: sorted(server.emitted) == ["later", "soon"])
    await eventually(lambda: _empty(server))


async def test_an_entry_that_is_given_out_again_when_its_time_is_over_is_not_done_twice(
    server: Backstage, run: Run
) -> None:
    later: list[tuple[str, dict[str, Any]]] = [
        ("notification", {"user": "ada", "type": "t", "message": "m", "at": NOW + 10}),
        ("message", {"room": "general", "from": {"id": "shop"}, "text": "hi", "at": NOW + 10}),
        ("emit", EMIT | {"at": NOW + 10, "key": "k"}),
    ]
    for kind, body in later:
        await server.submit(kind, body, origin="stream:1-0")
    server.now = NOW + 20
    await run(server)
    await eventually(lambda: _empty(server))
    for kind, body in later:
        await server.submit(kind, body, origin="stream:1-0")
    assert (server.pushed, server.posted, server.emitted) == (["ada:m"], ["hi"], ["news"])


async def test_a_clock_that_is_set_forward_is_noticed(server: Backstage, run: Run) -> None:
    await run(server)
    await put_off(server, "far", HOUR_MS)
    server.now = NOW + HOUR_MS + 1
    await eventually(lambda: server.emitted == ["far"], seconds=8)


async def test_a_clock_that_is_set_back_stops_nothing_and_loses_nothing(server: Backstage, run: Run) -> None:
    failing = [True]

    async def execute(kind: str, body: Any, origin: str) -> None:
        if body["event"] == "again" and failing:
            failing.clear()
            raise RuntimeError
        server.emitted.append(body["event"])

    await put_off(server, "again", 1)
    await put_off(server, "ahead", HOUR_MS + 1)
    server.now = NOW + HOUR_MS
    await run(server, execute=execute)
    await eventually(lambda: not failing)
    await eventually(lambda: _attempts(server, 1, 0))
    server.now = NOW + 10  # while it rests, and waits a second before it tries one of them again
    await put_off(server, "soon", 20)
    await eventually(lambda: server.emitted == ["again"], seconds=8)
    server.now = NOW + 20
    await eventually(lambda: server.emitted == ["again", "soon"], seconds=8)
    server.now = NOW + HOUR_MS + 1
    await eventually(lambda: server.emitted == ["again", "soon", "ahead"], seconds=8)


async def test_a_clock_that_is_set_forward_at_work_repeats_nothing(
    servers: list[Backstage], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the other server it looks as if the first one had died."""
    monkeypatch.setattr("rtserver.ingest.scheduler.RENEW_EVERY", 3600.0)
    began, finish = asyncio.Event(), asyncio.Event()

    async def slow(kind: str, body: Any, origin: str) -> None:
        began.set()
        await finish.wait()
        await servers[0].intake.execute(checked(kind, body), origin=origin)

    for kind, body in (
        ("notification", {"user": "ada", "type": "t", "message": "m", "at": NOW + 1}),
        ("message", {"room": "general", "from": {"id": "shop"}, "text": "hi", "at": NOW + 1}),
        ("emit", EMIT | {"at": NOW + 1, "key": "k"}),
        ("emit", EMIT | {"event": "later", "at": NOW + HOUR_MS + 20}),
    ):
        await servers[0].submit(kind, body)
    servers[0].now = servers[1].now = NOW + 10
    first = await run(servers[0], execute=slow)
    await began.wait()
    servers[0].now = servers[1].now = NOW + HOUR_MS
    await run(servers[1], owner="two")
    await eventually(lambda: servers[1].emitted == ["news"])
    finish.set()
    await first.stop()
    told = [servers[0].pushed + servers[1].pushed, servers[0].posted + servers[1].posted]
    assert told == [["ada:m"], ["hi"]]
    assert servers[0].emitted + servers[1].emitted == ["news"]
    [left] = (await servers[1].schedule.page())[0]
    assert left.body["event"] == "later"


async def test_what_fell_due_long_ago_comes_in_order_of_its_time(servers: list[Backstage], run: Run) -> None:
    order = [f"e{number}" for number in range(120)]
    for number in reversed(range(120)):
        await put_off(servers[0], f"e{number}", number + 1)
    came: list[str] = []
    for at, server in enumerate(servers):
        server.now = NOW + 10_000

        async def execute(kind: str, body: Any, origin: str) -> None:
            came.append(body["event"])

        await run(server, owner=str(at), execute=execute)
    await eventually(lambda: len(came) >= 120)
    assert came == order


async def test_two_servers_carry_each_out_once(servers: list[Backstage], run: Run) -> None:
    for number in range(60):
        await put_off(servers[number % 2], f"e{number}", 1000 + number % 3)
    for at, server in enumerate(servers):
        await run(server, owner=str(at))
    for server in servers:
        server.now = NOW + 5000
    await eventually(lambda: len(servers[0].emitted + servers[1].emitted) >= 60)
    assert sorted(servers[0].emitted + servers[1].emitted) == sorted(f"e{number}" for number in range(60))


async def test_a_server_that_dies_between_doing_and_noting_it_does_no_harm(servers: list[Backstage], run: Run) -> None:
    for kind, body in (
        ("notification", {"user": "ada", "type": "t", "message": "m", "at": NOW + 1}),
        ("message", {"room": "general", "from": {"id": "shop"}, "text": "hi", "at": NOW + 1}),
        ("emit", EMIT | {"at": NOW + 1}),
    ):
        await servers[0].submit(kind, body)
    servers[0].now = servers[1].now = NOW + 1000
    for later in await servers[0].schedule.claim("dead", 10):
        await servers[0].intake.execute(checked(later.kind, later.body), origin=f"schedule:{later.id}")
    servers[1].now += LEASE_MS
    await run(servers[1])
    await eventually(lambda: _empty(servers[1]))
    assert servers[0].pushed + servers[0].posted + servers[0].emitted == ["ada:m", "hi", "news"]
    assert servers[1].pushed + servers[1].posted + servers[1].emitted == []


async def _empty(server: Backstage) -> bool:
    return (await server.schedule.page())[0] == []


async def test_while_the_database_is_away_all_wait_and_no_attempt_counts(server: Backstage, run: Run) -> None:
    for number in range(3):
        notice = {"user": "ada", "type": "t", "message": str(number), "at": NOW + 1 + number}
        await server.submit("notification", notice)
    server.now, server.down, refused = NOW + 1000, True, 0
    execute = server.notify_batches

    async def counting(orders: Any) -> Any:
        nonlocal refused
        refused += server.down
        return await execute(orders)

    server.grouped._notifier.notify_batches = counting  # type: ignore[method-assign]
    await run(server)
    await eventually(lambda: refused >= 2)
    assert [later.attempts for later in (await server.schedule.page())[0]] == [0, 0, 0]
    server.down = False
    await eventually(lambda: server.pushed == ["ada:0", "ada:1", "ada:2"])


async def test_poison_is_kept_with_its_reason_and_holds_up_nobody(server: Backstage, run: Run) -> None:
    await server.schedule.add("emit", {"namespace": "/gone", "event": "x"}, NOW, key=None, digest="")
    await server.schedule.add("nonsense", {}, NOW, key=None, digest="")
    await server.schedule.add("emit", ["?"], NOW, key=None, digest="")
    await put_off(server, "good", 1)
    server.now = NOW + 10
    scheduler = await run(server)
    await eventually(lambda: server.emitted == ["good"])
    failed, _ = await server.schedule.page(failed=True)
    assert [str(one.error).partition(":")[0] for one in failed] == ["not_found", "invalid_payload", "invalid_payload"]
    assert scheduler._metrics.doors["schedule", "failed"] == 3  # type: ignore[attr-defined]
    assert b"rtserver_scheduled_failed 3.0" in scheduler._metrics.exposition()  # type: ignore[attr-defined]


async def test_a_fault_of_ours_is_tried_again_after_pauses_and_then_kept(server: Backstage, run: Run) -> None:
    tried: list[int] = []

    async def broken(kind: str, body: Any, origin: str) -> None:
        tried.append(server.now)
        raise RuntimeError

    await put_off(server, "bug", 1)
    server.now = NOW + 10
    scheduler = await run(server, execute=broken)
    for attempt in range(1, ATTEMPTS + 1):
        await eventually(lambda wanted=attempt: len(tried) == wanted)
        await eventually(lambda wanted=attempt: _attempts(server, wanted))
        server.now += 60_000
        scheduler.nudge(0)
    [failed] = (await server.schedule.page(failed=True))[0]
    assert (failed.attempts, failed.error) == (ATTEMPTS, f"internal: failed {ATTEMPTS} times")


async def _attempts(server: Backstage, *wanted: int) -> bool:
    every = [*(await server.schedule.page())[0], *(await server.schedule.page(failed=True))[0]]
    return [later.attempts for later in every] == list(wanted)


async def test_what_takes_long_stays_with_its_server(servers: list[Backstage], run: Run) -> None:
    began, finish = asyncio.Event(), asyncio.Event()

    async def slow(kind: str, body: Any, origin: str) -> None:
        began.set()
        await finish.wait()

    await put_off(servers[0], "slow", 1)
    for server in servers:
        server.now = NOW + 10
    first = await run(servers[0], execute=slow)
    await began.wait()
    held = servers[0].now + LEASE_MS
    servers[0].now = servers[1].now = held - 1
    await servers[0].schedule.renew("one")
    servers[0].now = servers[1].now = held + 1
    assert await servers[1].schedule.claim("two", 5) == []
    finish.set()
    await eventually(lambda: _empty(servers[0]))
    await first.stop()


async def test_stopping_finishes_what_has_begun_and_frees_the_rest(server: Backstage, run: Run) -> None:
    began, finish = asyncio.Event(), asyncio.Event()

    async def slow(kind: str, body: Any, origin: str) -> None:
        began.set()
        await finish.wait()

    for number in range(3):
        await put_off(server, str(number), number + 1)
    server.now = NOW + 10
    scheduler = await run(server, execute=slow)
    await began.wait()
    stopping = asyncio.create_task(scheduler.stop())
    await asyncio.sleep(0)
    finish.set()
    await stopping
    assert [later.body["event"] for later in await server.schedule.claim("next", 5)] == ["1", "2"]
