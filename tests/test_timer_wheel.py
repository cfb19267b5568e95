"""Timer wheel: timers fire never early or never late, by at most a tick; setting, moving and stopping them."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from rtserver.timer_wheel import GRAIN, LATE, SLOTS, Timer, Wheel

TICK = 0.004


class Bell(Timer):
    def __init__(self, rang=None):
        super().__init__()
        self.times = []
        self.then = lambda: None
        self.rang = rang

    def fire(self):
        self.times.append(asyncio.get_running_loop().time())
        self.then()
        if self.rang is not None:
            self.rang.set()


@pytest.fixture
async def wheel():
    wheel = Wheel(TICK)
    yield wheel
    wheel.close()


async def wait(wheel, seconds, bell=None):
    bell = bell or Bell()
    bell.rang = asyncio.Event()
    wheel.start(bell, seconds)
    async with asyncio.timeout(10):
        await bell.rang.wait()
    return bell


@pytest.mark.parametrize("seconds", [0, 0.001, TICK, 2.5 * TICK, 0.03])
async def test_a_timer_never_fires_early(wheel, seconds):
    began = asyncio.get_running_loop().time()
    bell = await wait(wheel, seconds)
    assert bell.times[0] - began >= seconds
    assert len(bell.times) == 1
    assert not bell.is_set


async def test_a_timer_of_several_revolutions_never_fires_early():
    wheel = Wheel(0.0002)
    began = asyncio.get_running_loop().time()
    seconds = 0.0002 * (SLOTS * 2 + 7)
    bell = await wait(wheel, seconds)
    assert bell.times[0] - began >= seconds
    assert len(bell.times) == 1


@pytest.mark.parametrize("seconds", [0.02, 0.03, 0.05, 0.0777])
@pytest.mark.parametrize("waited", [0, 0.001, 0.003, 0.0045])
async def test_a_timer_with_a_deadline_is_set_to_the_last_tick_before_it(wheel, seconds, waited):
    """Computed, not measured: a loaded machine is late with everything."""
    other, bell = Bell(), Bell()
    wheel.start(other, 60)
    await asyncio.sleep(waited)
    began = asyncio.get_running_loop().time()
    wheel.start_before(bell, seconds)
    steps = (bell._slot - wheel._position - 1) % SLOTS + bell._rounds * SLOTS
    fires = wheel._due + GRAIN + steps * TICK
    assert seconds - TICK - 3 * GRAIN <= fires - began <= seconds


async def test_a_deadline_shorter_than_a_tick_is_the_next_tick(wheel):
    bell = Bell()
    wheel.start_before(bell, 0)
    assert (bell._slot, bell._rounds) == (wheel._position + 1, 0)


async def test_a_deadline_of_several_revolutions_is_kept():
    wheel = Wheel(0.0002)
    seconds = 0.0002 * (SLOTS * 2 + 7) + 2 * GRAIN
    bell = Bell()
    wheel.start_before(bell, seconds)
    assert bell._rounds == 2
    wheel.close()


async def test_two_deadlines_in_a_row_are_not_late_together(wheel):
    """A heartbeat is a ping and the wait for its pong: what the second one adds is counted from the first."""
    bell, fires = Bell(), []
    loop = asyncio.get_running_loop()
    began = loop.time()
    bell.then = lambda: len(bell.times) == 1 and again()

    def again() -> None:
        wheel.start_before(bell, 0.02)
        fires.append(wheel._due + GRAIN + (bell._slot - wheel._position - 1) % SLOTS * TICK - loop.time())

    bell.rang = asyncio.Event()
    wheel.start_before(bell, 0.03)
    assert wheel._due + GRAIN + (bell._slot - wheel._position - 1) % SLOTS * TICK - began <= 0.03
    async with asyncio.timeout(10):
        await bell.rang.wait()
    assert fires[0] <= 0.02


async def test_timers_fire_in_order(wheel):
    order, bells = [], []
    for number in (3, 1, 2):
        bell = Bell()
        bell.then = lambda number=number: order.append(number)
        wheel.start(bell, number * 3 * TICK)
        bells.append(bell)
    await wait(wheel, 12 * TICK)
    assert order == [1, 2, 3]


async def test_starting_a_timer_again_moves_it(wheel):
    moved = Bell()
    wheel.start(moved, 2 * TICK)
    wheel.start(moved, 3600)
    await wait(wheel, 5 * TICK)
    assert moved.times == []
    assert len(wheel) == 1


async def test_a_stopped_timer_does_not_fire(wheel):
    stopped = Bell()
    wheel.start(stopped, 2 * TICK)
    wheel.stop(stopped)
    wheel.stop(stopped)
    await wait(wheel, 5 * TICK)
    assert stopped.times == []
    assert len(wheel) == 0


async def test_a_timer_may_stop_or_move_another_of_the_same_tick(wheel):
    first, second = Bell(), Bell()
    for bell, other in ((first, second), (second, first)):
        bell.then = lambda other=other: wheel.stop(other)
        wheel.start(bell, 3 * TICK)
    await wait(wheel, 6 * TICK)
    assert len(first.times) + len(second.times) == 1


async def test_a_timer_may_start_itself_again(wheel):
    bell = Bell()
    bell.then = lambda: len(bell.times) < 3 and wheel.start(bell, TICK)
    wheel.start(bell, TICK)
    await wait(wheel, 20 * TICK)
    assert len(bell.times) == 3


async def test_a_delayed_loop_catches_up(wheel):
    bells = [Bell() for _ in range(10)]
    for number, bell in enumerate(bells):
        wheel.start(bell, number * TICK)
    loop = asyncio.get_running_loop()
    until = loop.time() + 20 * TICK
    while loop.time() < until:
        pass
    await wait(wheel, 0)
    assert all(len(bell.times) == 1 for bell in bells)


async def test_an_idle_wheel_has_no_loop_timer(wheel):
    await wait(wheel, TICK)
    assert wheel._handle is None
    await wait(wheel, TICK)
    assert len(wheel) == 0


async def test_a_wheel_wakes_once_per_tick(wheel):
    """The event loop's clock may be a fraction of a millisecond early when its timer fires."""
    looks = []
    turn = wheel._advance
    wheel._advance = lambda: (looks.append(wheel._position), turn())
    await wait(wheel, 50 * TICK)
    assert len(looks) == len(set(looks))


async def test_a_closed_wheel_fires_no_timer(wheel):
    bell = Bell()
    wheel.start(bell, TICK)
    wheel.close()
    await wait(Wheel(TICK), 5 * TICK)
    assert bell.times == []
    assert len(wheel) == 0


async def test_a_timer_that_fails_does_not_stop_the_others(wheel):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    bells = [Bell() for _ in range(20)]
    for bell in bells:
        wheel.start(bell, TICK)
    for broken in bells[:2]:
        broken.then = lambda: 1 / 0
    await wait(wheel, 5 * TICK)
    assert [len(bell.times) for bell in bells] == [1] * 20
    assert [type(fault) for fault in faults] == [ZeroDivisionError] * 2
    await wait(wheel, TICK)


# Memory.

CROWD = 500


def step(wheel):
    """Advance by one tick, without waiting for it."""
    wheel._handle.cancel()
    wheel._advance_to(wheel._due)


def size(wheel):
    return sum(sys.getsizeof(slot) for slot in wheel._slots)


async def test_a_crowd_that_fires_together_leaves_nothing_in_the_slots_that_it_has_passed(wheel):
    empty = size(wheel)
    bells = [Bell() for _ in range(CROWD)]
    for bell in bells:
        bell.then = lambda bell=bell: wheel.start(bell, 5 * TICK)
        wheel.start(bell, TICK)
    largest = sys.getsizeof(set(bells))
    for _ in range(SLOTS + 10):
        step(wheel)
    assert len(wheel) == CROWD
    assert size(wheel) - empty <= 2 * largest


async def test_a_crowd_that_is_moved_on_before_it_fires_leaves_nothing_either(wheel):
    """As heartbeats are: each pong moves its timer on."""
    empty = size(wheel)
    bells = [Bell() for _ in range(CROWD)]
    for ticks in range(SLOTS):
        for bell in bells:
            wheel.start(bell, (ticks + 1) * TICK)
    assert size(wheel) - empty <= 2 * sys.getsizeof(set(bells))


async def test_one_that_stays_keeps_no_memory_of_the_crowd_around_it(wheel):
    empty = size(wheel)
    bells, stays = [Bell() for _ in range(CROWD)], [Bell() for _ in range(SLOTS)]
    for ticks, stay in enumerate(stays):
        wheel.start(stay, (SLOTS + ticks + 1) * TICK)
        for bell in bells:
            wheel.start(bell, (ticks + 1) * TICK)
    for bell in bells:
        wheel.stop(bell)
    for _ in range(SLOTS + 1):
        step(wheel)
    assert len(wheel) > SLOTS / 2
    assert size(wheel) - empty <= sys.getsizeof(set(bells))


# Stalls.


def stall(seconds):
    """Let the event loop stand still."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def test_a_late_wheel_catches_up_before_the_event_loop_runs_its_timers(wheel):
    due, later = Bell(), Bell()
    wheel.start(due, 2 * TICK)
    wheel.start(later, 60)
    assert time.perf_counter() < wheel.late_at
    stall(LATE + 10 * TICK)
    assert time.perf_counter() > wheel.late_at
    assert due.times == []
    wheel.catch_up()
    assert len(due.times) == 1
    assert later.times == []
    assert time.perf_counter() < wheel.late_at
    await wait(wheel, 3 * TICK)
    assert len(due.times) == 1


async def test_a_timer_learns_how_late_it_is(wheel):
    seen = []
    early, late = Bell(), Bell()
    for bell, ticks in ((early, 2), (late, 20)):
        bell.then = lambda: seen.append(wheel.behind)
        wheel.start(bell, ticks * TICK)
    stall(LATE + 40 * TICK)
    wheel.catch_up()
    assert seen[0] - seen[1] == pytest.approx(18 * TICK)
    assert seen[1] > LATE
    assert wheel.behind == 0


async def test_a_deadline_that_is_set_while_the_wheel_catches_up_counts_from_now(wheel):
    again = Bell()
    first = Bell()
    first.then = lambda: wheel.start_before(again, 60)
    wheel.start(first, TICK)
    stall(LATE + 40 * TICK)
    wheel.catch_up()
    assert again.times == []
    assert len(wheel) == 1


async def test_delays_are_reported_and_everyday_ones_are_not():
    reported = []
    wheel = Wheel(TICK, on_late=reported.append)
    await wait(wheel, 10 * TICK)
    wheel.start(Bell(), 60)
    stall(LATE / 2)
    await asyncio.sleep(0)
    assert [seconds for seconds in reported if seconds < LATE] == []
    stall(LATE + 10 * TICK)
    wheel.catch_up()
    assert reported[-1] >= LATE
    wheel.close()


async def test_a_wheel_without_timers_is_never_late(wheel):
    await wait(wheel, TICK)
    assert wheel.late_at == float("inf")
    wheel.start(Bell(), 60)
    wheel.close()
    assert wheel.late_at == float("inf")
