"""The group writer alone: items that wait while a batch commits go into the next one."""

import asyncio
from collections.abc import Sequence

import pytest

from rtserver.errors import Internal, InvalidPayload, Unavailable
from rtserver.store.db.group_commit import GroupWriter


class Disk:
    """A `write` that commits or fails when the test says so."""

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


async def test_items_that_arrive_during_a_commit_share_the_next_one() -> None:
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


async def test_one_invalid_item_gets_its_error_and_the_others_their_results() -> None:
    disk = Disk()
    writer = await started(disk)
    answers = await asyncio.gather(*(writer.submit(item) for item in range(30)), return_exceptions=True)
    assert isinstance(answers.pop(13), InvalidPayload)
    assert answers == [f"saved {item}" for item in range(30) if item != 13]
    await writer.stop()


async def test_an_unexpected_error_is_internal_and_the_next_batch_is_written() -> None:
    disk = Disk()
    writer = await started(disk)
    with pytest.raises(Internal):
        await writer.submit(99)
    assert await writer.submit(1) == "saved 1"
    await writer.stop()


async def test_after_a_database_failure_the_next_batch_is_written() -> None:
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


async def test_a_full_queue_rejects_at_once() -> None:
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


async def test_a_cancelled_caller_does_not_affect_the_others() -> None:
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


async def test_stop_writes_queued_items_and_rejects_new_ones() -> None:
    disk = Disk()
    writer = await started(disk, batch_limit=2)
    tasks = [asyncio.create_task(writer.submit(item)) for item in range(5)]
    await asyncio.sleep(0)
    await writer.stop()
    assert await asyncio.gather(*tasks) == [f"saved {item}" for item in range(5)]
    with pytest.raises(Unavailable):
        await writer.submit(6)
    await writer.stop()


async def test_stop_does_not_wait_for_a_dead_database_with_every_batch() -> None:
    disk = Disk()
    writer = await started(disk, batch_limit=2)
    disk.down = True
    tasks = [asyncio.create_task(writer.submit(item)) for item in range(10)]
    await asyncio.sleep(0)
    await writer.stop()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert len(disk.batches) == 1


async def test_callers_wake_in_the_order_of_their_items() -> None:
    """Broadcasts after the commit must keep the order of the room."""
    disk = Disk()
    writer = await started(disk)
    woken: list[int] = []

    async def one(item: int) -> None:
        await writer.submit(item)
        woken.append(item)

    await asyncio.gather(*(one(item) for item in range(200, 300)))
    assert woken == list(range(200, 300))
    await writer.stop()
