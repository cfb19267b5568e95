"""The group writer, on its own: what waits while a batch commits goes into the next one."""

import asyncio
from collections.abc import Sequence

import pytest

from rtserver.errors import Internal, InvalidPayload, Unavailable
from rtserver.store.db.group_commit import GroupWriter


class Disk:
    """A `write` that commits only when told to, and fails as told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.began = asyncio.Event()
        self.down = False

    async def write(self, items: Sequence[int]) -> list[str]:
        self.batches.append(list(items))
        self.began.set()
        await self.go.wait()
        if self.down:
            raise Unavailable
        if 13 in items:
            raise InvalidPayload("unlucky")
        if 99 in items:
            raise ZeroDivisionError
        return [f"saved {item}" for item in items]


async def started(disk: Disk, **limits: int) -> GroupWriter[int, str]:
    writer = GroupWriter(disk.write, **limits)
    await writer.start()
    return writer


async def test_what_arrives_during_a_commit_goes_into_the_next_one_together() -> None:
    disk = Disk()
    writer = await started(disk)
    disk.go.clear()
    first = asyncio.create_task(writer.submit(1))
    await disk.began.wait()
    rest = [asyncio.create_task(writer.submit(item)) for item in range(102, 150)]
    await asyncio.sleep(0)
    disk.go.set()
    assert [await task for task in (first, *rest)] == ["saved 1", *(f"saved {item}" for item in range(102, 150))]
    assert disk.batches == [[1], list(range(102, 150))]
    await writer.stop()


async def test_a_batch_has_a_limit() -> None:
    disk = Disk()
    writer = await started(disk, batch_limit=10)
    await asyncio.gather(*(writer.submit(item) for item in range(100, 135)))
    assert [len(batch) for batch in disk.batches] == [10, 10, 10, 5]
    await writer.stop()


async def test_one_bad_item_gets_its_error_and_its_neighbours_their_results() -> None:
    disk = Disk()
    writer = await started(disk)
    answers = await asyncio.gather(*(writer.submit(item) for item in range(30)), return_exceptions=True)
    assert isinstance(answers.pop(13), InvalidPayload)
    assert answers == [f"saved {item}" for item in range(30) if item != 13]
    await writer.stop()


async def test_a_fault_in_the_code_is_internal_and_the_next_batch_goes_on() -> None:
    disk = Disk()
    writer = await started(disk)
    with pytest.raises(Internal):
        await writer.submit(99)
    assert await writer.submit(1) == "saved 1"
    await writer.stop()


async def test_after_trouble_of_the_database_the_next_batch_goes_on() -> None:
    disk = Disk()
    writer = await started(disk)
    disk.down = True
    answers = await asyncio.gather(*(writer.submit(item) for item in range(5)), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert len(set(map(id, answers))) == 5, "each waiter raises its own error"
    assert disk.batches == [list(range(5))], "a batch that the database refused is not tried piece by piece"
    disk.down = False
    assert await writer.submit(1) == "saved 1"
    await writer.stop()


async def test_too_many_waiting_are_refused_at_once() -> None:
    disk = Disk()
    writer = await started(disk, queue_limit=3)
    disk.go.clear()
    first = asyncio.create_task(writer.submit(0))
    await disk.began.wait()
    waiting = [asyncio.create_task(writer.submit(item)) for item in range(1, 4)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await writer.submit(4)
    disk.go.set()
    assert await asyncio.gather(first, *waiting) == ["saved 0", "saved 1", "saved 2", "saved 3"]
    await writer.stop()


async def test_a_waiter_that_leaves_does_no_harm() -> None:
    disk = Disk()
    writer = await started(disk)
    disk.go.clear()
    writing = asyncio.create_task(writer.submit(1))
    await disk.began.wait()
    waiting = [asyncio.create_task(writer.submit(item)) for item in (2, 3)]
    await asyncio.sleep(0)
    writing.cancel()
    waiting[0].cancel()
    await asyncio.gather(writing, waiting[0], return_exceptions=True)
    disk.go.set()
    assert await waiting[1] == "saved 3"
    assert disk.batches == [[1], [3]]
    await writer.stop()


async def test_stopping_writes_what_waits_and_takes_no_more() -> None:
    disk = Disk()
    writer = await started(disk, batch_limit=2)
    tasks = [asyncio.create_task(writer.submit(item)) for item in range(5)]
    await asyncio.sleep(0)
    await writer.stop()
    assert await asyncio.gather(*tasks) == [f"saved {item}" for item in range(5)]
    with pytest.raises(Unavailable):
        await writer.submit(6)
    await writer.stop()


async def test_stopping_does_not_wait_for_a_dead_database_batch_after_batch() -> None:
    disk = Disk()
    writer = await started(disk, batch_limit=2)
    disk.down = True
    tasks = [asyncio.create_task(writer.submit(item)) for item in range(10)]
    await asyncio.sleep(0)
    await writer.stop()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert len(disk.batches) == 1


async def test_results_wake_their_waiters_in_order() -> None:
    """Whoever broadcasts after the commit must do it in the order of the room."""
    disk = Disk()
    writer = await started(disk)
    woken: list[int] = []

    async def one(item: int) -> None:
        await writer.submit(item)
        woken.append(item)

    await asyncio.gather(*(one(item) for item in range(200, 300)))
    assert woken == list(range(200, 300))
    await writer.stop()
