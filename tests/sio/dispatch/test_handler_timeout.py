"""Handler timeout: coroutines driven by hand behave as awaited ones, but for the limit."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.sio.dispatch.handler_timeout import HandlerTimeout, with_timeout
from rtserver.timer_wheel import Wheel


@pytest.fixture
def wheel():
    wheel = Wheel(0.005)
    yield wheel
    wheel.close()


async def test_a_coroutine_that_never_waits_needs_no_timer(wheel):
    async def work():
        return 5

    awaitable = with_timeout(1, wheel, work())
    assert await awaitable == 5
    assert wheel._handle is None


async def test_without_a_limit_the_coroutine_itself_is_awaited(wheel):
    work = asyncio.sleep(0, 5)
    assert with_timeout(0, wheel, work) is work
    assert await work == 5


async def test_results_and_exceptions_reach_the_coroutine_and_its_caller(wheel):
    loop = asyncio.get_running_loop()

    async def work():
        good, bad = loop.create_future(), loop.create_future()
        loop.call_soon(good.set_result, 1)
        loop.call_soon(bad.set_exception, KeyError("bad"))
        found = [await good]
        try:
            await bad
        except KeyError as error:
            found.append(error.args[0])
        await asyncio.sleep(0)
        raise LookupError(found)

    with pytest.raises(LookupError) as caught:
        await with_timeout(1, wheel, work())
    assert caught.value.args == ([1, "bad"],)
    assert len(wheel) == 0


async def test_a_coroutine_beyond_its_time_is_cancelled_and_the_task_continues(wheel):
    cleaned_up = []

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    with pytest.raises(HandlerTimeout):
        await with_timeout(0.01, wheel, work())
    assert cleaned_up == [True]
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_is_no_timeout(wheel):
    async def run():
        await with_timeout(60, wheel, asyncio.sleep(60))

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    assert len(wheel) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(wheel) == 0


async def test_a_cancellation_from_outside_wins_over_a_timeout(wheel):
    timed_out = asyncio.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            timed_out.set()
            await asyncio.sleep(60)

    async def run():
        await with_timeout(0.01, wheel, work())

    task = asyncio.create_task(run())
    await timed_out.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
