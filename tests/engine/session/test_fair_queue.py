"""The fair queue: one large piece of work in each turn of the event loop, and time for others in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import pytest

from rtserver.engine.session import fair_queue
from rtserver.engine.session.fair_queue import FREE_SECONDS, LONGEST_REST, FairQueue
from tests.engine.conftest import eventually


class Turns:
    """Counts the iterations of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._next()

    def _next(self) -> None:
        self.count += 1
        self._handle = asyncio.get_running_loop().call_soon(self._next)

    def stop(self) -> None:
        self._handle.cancel()


async def test_each_piece_of_work_has_an_iteration_of_its_own() -> None:
    queue, turns, seen = FairQueue(), Turns(), []
    for name in "abc":
        queue.put(lambda name=name: seen.append((name, turns.count)))  # type: ignore[misc]
    assert not seen
    await eventually(lambda: len(seen) == 3)
    turns.stop()
    assert [name for name, _ in seen] == ["a", "b", "c"]
    assert len({turn for _, turn in seen}) == 3


async def test_who_comes_again_stands_behind_the_others() -> None:
    queue, seen = FairQueue(), []

    def work(name: str, times: int) -> None:
        seen.append(name)
        if times > 1:
            queue.put(partial(work, name, times - 1))

    queue.put(partial(work, "greedy", 3))
    queue.put(partial(work, "b", 1))
    queue.put(partial(work, "c", 1))
    await eventually(lambda: len(seen) == 5)
    assert seen == ["greedy", "b", "c", "greedy", "greedy"]


async def test_work_that_comes_during_work_has_an_iteration_of_its_own_too() -> None:
    queue, turns, seen = FairQueue(), Turns(), []

    def work(name: str, times: int) -> None:
        seen.append((name, turns.count))
        if times > 1:
            queue.put(partial(work, name, times - 1))

    for name in "abc":
        queue.put(partial(work, name, 4))
    await eventually(lambda: len(seen) == 12)
    turns.stop()
    assert len({turn for _, turn in seen}) == 12


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the queue measures, in the first item."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert fair_queue.time is time
    return now


@pytest.mark.parametrize(("took", "rest"), [(FREE_SECONDS, 0.0), (0.02, 0.02), (0.5, 0.5), (30.0, LONGEST_REST)])
async def test_after_expensive_work_the_queue_rests_as_long(
    took: float, rest: float, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, loop, rests = FairQueue(), asyncio.get_running_loop(), []

    def expensive() -> None:
        clock[0] += took

    def later(seconds: float, work: Callable[[], None]) -> asyncio.Handle:
        rests.append(seconds)
        return loop.call_soon(work)

    monkeypatch.setattr(loop, "call_later", later)
    queue.put(expensive)
    queue.put(expensive)
    await some_turns()
    assert not len(queue)
    assert [round(seconds, 6) for seconds in rests] == ([rest, rest] if rest else [])


async def test_the_queue_rests_after_work_that_puts_more_into_it(clock: list[float]) -> None:
    queue, done = FairQueue(), []

    def expensive() -> None:
        clock[0] += 0.02
        done.append(len(done))
        queue.put(expensive)

    queue.put(expensive)
    await some_turns()
    assert len(done) == 1
    queue.close()


async def test_work_that_comes_during_a_rest_waits_for_its_end(clock: list[float]) -> None:
    queue, seen = FairQueue(), []
    queue.put(lambda: clock.__setitem__(0, clock[0] + 0.02))
    await eventually(lambda: not len(queue))
    queue.put(lambda: seen.append("done"))
    await some_turns()
    assert not seen
    await eventually(lambda: bool(seen))


async def test_work_that_fails_does_not_hold_up_the_rest() -> None:
    queue, seen, reported = FairQueue(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    queue.put(lambda: 1 / 0)
    queue.put(lambda: seen.append("after"))
    await eventually(lambda: bool(seen))
    assert [type(error) for error in reported] == [ZeroDivisionError]


async def test_the_result_of_work_can_be_awaited() -> None:
    queue = FairQueue()
    assert await queue.run(lambda: 7) == 7
    with pytest.raises(ValueError, match="no"):
        await queue.run(lambda: int("no"))


async def test_work_that_nobody_awaits_any_more_is_not_done() -> None:
    queue, seen = FairQueue(), []
    task = asyncio.create_task(queue.run(lambda: seen.append("done")))
    await asyncio.sleep(0)
    assert len(queue) == 1
    task.cancel()
    await some_turns()
    assert not len(queue)
    assert not seen


async def test_a_closed_queue_does_nothing_more() -> None:
    queue, seen = FairQueue(), []
    queue.put(lambda: seen.append("done"))
    queue.close()
    await some_turns()
    assert not seen
