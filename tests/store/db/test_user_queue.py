"""The queue of expensive reads: one at a time for each user, and a bound on those that wait."""

import asyncio
from collections import Counter

import pytest

from rtserver.errors import RateLimited, Unavailable
from rtserver.store.db.user_queue import UserQueue


class Reads:
    """Reads that run until `release` is set; counts how many run at once, by user and in all."""

    def __init__(self, queue: UserQueue) -> None:
        self.queue = queue
        self.release = asyncio.Event()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []

    async def read(self, user: str) -> str:
        async with self.queue.turn(user):
            self.order.append(user)
            for name in (user, "all"):
                self.now[name] += 1
                self.most[name] = max(self.most[name], self.now[name])
            await self.release.wait()
            await asyncio.sleep(0)
            for name in (user, "all"):
                self.now[name] -= 1
        return user


async def some_turns() -> None:
    """Let the tasks that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_of_one_user_one_read_runs_and_few_wait() -> None:
    reads = Reads(UserQueue(concurrent=4, waiting=3, seconds=60))
    asked = [asyncio.create_task(reads.read("eve")) for _ in range(8)]
    await some_turns()
    assert (reads.now["eve"], sum(task.done() for task in asked)) == (1, 4), "the others are refused at once"
    reads.release.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[:4] == ["eve"] * 4
    assert all(isinstance(answer, RateLimited) and answer.retry_after > 0 for answer in answers[4:])
    assert reads.most["eve"] == 1
    assert len(reads.queue) == 0, "nothing is kept of users that do not read"


async def test_users_take_turns_and_share_the_connections() -> None:
    reads = Reads(UserQueue(concurrent=2, waiting=3, seconds=60))
    users = ["eve", "eve", "eve", "eve", "ann", "bob", "cid"]
    asked = [asyncio.create_task(reads.read(user)) for user in users]
    await some_turns()
    assert reads.order == ["eve", "ann"]
    reads.release.set()
    assert sorted(await asyncio.gather(*asked)) == sorted(users)
    assert reads.order.index("cid") < 5, "the second read of eve does not overtake the first one of cid"
    assert reads.most["all"] == 2


async def test_a_read_that_waits_too_long_is_answered() -> None:
    reads = Reads(UserQueue(concurrent=1, waiting=3, seconds=0.05))
    first = asyncio.create_task(reads.read("eve"))
    await some_turns()
    for user in ("ann", "eve"):
        with pytest.raises(Unavailable):
            await reads.read(user)
    reads.release.set()
    assert await first == "eve"
    assert await reads.read("ann") == "ann"


async def test_cancelled_reads_leave_their_place() -> None:
    reads = Reads(UserQueue(concurrent=1, waiting=3, seconds=60))
    for _ in range(3):
        asked = [asyncio.create_task(reads.read(user)) for user in ("eve", "eve", "ann", "ann")]
        await some_turns()
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    reads.release.set()
    assert await asyncio.gather(reads.read("eve"), reads.read("ann")) == ["eve", "ann"]
    assert len(reads.queue) == 0
