"""The schedule: items are claimed in order, by one server at a time, until they are executed."""

import asyncio
from typing import Any

import pytest

from rtserver.answer_size import ANSWER_BYTES, size_of
from rtserver.clock import iso
from rtserver.errors import Conflict, InvalidPayload
from rtserver.store.db.database import Database
from rtserver.store.ingest.schedule import LEASE_MS, Schedule
from tests.store.conftest import OpenDatabase

NOW = 1_795_359_845_123


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(db: Database, clock: Clock) -> Schedule:
    return Schedule(db, clock=clock)


async def add(schedule: Schedule, due_at: int, body: Any = None, key: str | None = None, digest: str = "d") -> str:
    return (await schedule.add("emit", body or {"n": 1}, due_at, key=key, digest=digest))[0]


async def test_due_items_are_claimed_in_order_of_due_time(schedule: Schedule) -> None:
    late, later, latest = [await add(schedule, NOW - ago) for ago in (3, 2, 1)]
    await add(schedule, NOW + 1)
    oldest = await add(schedule, NOW - 100)
    assert [one.id for one in await schedule.claim("a", 3)] == [oldest, late, later]
    assert [one.id for one in await schedule.claim("a", 3)] == [latest]


async def test_only_one_server_holds_a_lease(open_database: OpenDatabase, clock: Clock) -> None:
    one, two = [Schedule(await open_database(), clock=clock) for _ in range(2)]
    ids = [await add(one, NOW - ago) for ago in (2, 1)]
    assert [item.id for item in await one.claim("a", 1)] == ids[:1]
    assert await two.claim("b", 5) == []
    await one.done(ids[:1])
    assert [item.id for item in await two.claim("b", 5)] == ids[1:]


async def test_of_concurrent_claims_one_succeeds(open_database: OpenDatabase, clock: Clock) -> None:
    servers = [Schedule(await open_database(), clock=clock) for _ in range(3)]
    for number in range(10):
        await add(servers[0], NOW - number)
    taken = await asyncio.gather(*(server.claim(str(at), 4) for at, server in enumerate(servers)))
    assert sorted(map(len, taken)) == [0, 0, 4]


async def test_items_of_a_dead_server_are_free_after_its_lease(schedule: Schedule, clock: Clock) -> None:
    id_ = await add(schedule, NOW)
    assert len(await schedule.claim("dead", 5)) == 1
    clock.now += LEASE_MS
    assert [item.id for item in await schedule.claim("b", 5)] == [id_]


async def test_a_clock_set_back_does_not_block_claims(schedule: Schedule, clock: Clock) -> None:
    clock.now = NOW + 3_600_000
    id_ = await add(schedule, NOW)
    assert len(await schedule.claim("dead", 5)) == 1
    clock.now = NOW
    assert [item.id for item in await schedule.claim("b", 5)] == [id_]


async def test_a_retried_item_waits_and_lets_others_pass(schedule: Schedule, clock: Clock) -> None:
    first, second = [await add(schedule, NOW - ago) for ago in (2, 1)]
    await schedule.claim("a", 1)
    await schedule.retry(first, 1000)
    assert [item.id for item in await schedule.claim("b", 5)] == [second]
    clock.now += 1000
    await schedule.done([second])
    [again] = await schedule.claim("b", 5)
    assert (again.id, again.attempts) == (first, 1)


async def test_a_parked_item_keeps_its_reason_and_is_not_claimed(schedule: Schedule) -> None:
    id_ = await add(schedule, NOW)
    await schedule.claim("a", 1)
    await schedule.park(id_, "not_found: There is no namespace /x" + "!" * 1000)
    assert await schedule.claim("b", 5) == []
    assert await schedule.next_due() is None
    [parked], more = await schedule.page(failed=True)
    assert (parked.id, parked.failed_at, more) == (id_, iso(NOW), None)
    assert parked.error is not None
    assert parked.error.startswith("not_found")
    assert len(parked.error) <= 500
    assert (await schedule.failed(), await schedule.page()) == (1, ([], None))


async def test_a_key_is_scheduled_once(schedule: Schedule) -> None:
    first = await schedule.add("emit", {"n": 1}, NOW + 5, key="k", digest="d")
    assert await schedule.add("emit", {"n": 1}, NOW + 5, key="k", digest="d") == (*first[:2], False)
    with pytest.raises(Conflict):
        await schedule.add("emit", {"n": 2}, NOW + 5, key="k", digest="other")
    assert len((await schedule.page())[0]) == 1


async def test_a_cancelled_item_is_removed_and_its_key_is_free(schedule: Schedule) -> None:
    id_ = await add(schedule, NOW + 5, key="k")
    assert await schedule.cancel(id_)
    assert not await schedule.cancel(id_)
    assert (await schedule.add("emit", {"n": 2}, NOW + 9, key="k", digest="other"))[2]


async def test_an_item_cannot_be_cancelled_while_it_is_executed(schedule: Schedule, clock: Clock) -> None:
    id_ = await add(schedule, NOW)
    await schedule.claim("a", 1)
    with pytest.raises(Conflict):
        await schedule.cancel(id_)
    clock.now += LEASE_MS
    assert await schedule.cancel(id_)


async def test_pages_follow_each_other_by_due_time(schedule: Schedule) -> None:
    ids = [await add(schedule, NOW + number // 2, key=f"k{number}") for number in range(5)]
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = await schedule.page(after=after, limit=2)
        seen += [item.id for item in page]
    assert seen == ids
    assert [item.id for item in (await schedule.page(kind="emit", key="k3"))[0]] == [ids[3]]


@pytest.mark.parametrize("cursor", ["x", ".", "12", "-5.a", "9" * 40 + ".a", "٣.a"])
async def test_a_forged_cursor_gives_an_empty_or_first_page(schedule: Schedule, cursor: str) -> None:
    await add(schedule, NOW)
    page, _ = await schedule.page(after=cursor)
    assert len(page) <= 1


async def test_a_cursor_that_no_database_can_store_is_rejected(schedule: Schedule) -> None:
    with pytest.raises(InvalidPayload):
        await schedule.page(after="12.a\0")


async def test_a_page_ends_at_the_bytes_of_an_answer(schedule: Schedule) -> None:
    ids = [await add(schedule, NOW + number // 3, body={"data": "x" * 100_000}) for number in range(12)]
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = await schedule.page(after=after, limit=100)
        assert 0 < size_of(page) <= ANSWER_BYTES
        seen += [item.id for item in page]
    assert seen == ids
