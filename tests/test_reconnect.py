"""The reconnect loop: attempts follow one another until stopped; outages and repeated errors are news once."""

import asyncio
import time

import pytest

from rtserver import reconnect as module
from rtserver.backoff import Backoff
from rtserver.reconnect import Episodes, Outage, reconnect


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


async def test_every_failure_is_reported_and_the_loop_goes_on() -> None:
    stopping, failures = asyncio.Event(), list[Exception]()
    errors = iter([OSError("away"), ValueError("our own fault")])

    async def attempt() -> None:
        error = next(errors, None)
        if error is not None:
            raise error
        stopping.set()

    await asyncio.wait_for(reconnect(attempt, failures.append, Backoff(0.0), stopping=stopping), 5)
    assert [str(error) for error in failures] == ["away", "our own fault"]


async def test_stopping_ends_a_pause_at_once() -> None:
    stopping, failed = asyncio.Event(), asyncio.Event()

    async def attempt() -> None:
        raise OSError

    began = time.monotonic()
    running = asyncio.create_task(reconnect(attempt, lambda _: failed.set(), Backoff(60.0, 60.0), stopping=stopping))
    await failed.wait()
    stopping.set()
    await asyncio.wait_for(running, 5)
    assert time.monotonic() - began < 5


async def test_cancelling_ends_an_attempt_and_is_no_failure() -> None:
    began, failures = asyncio.Event(), list[Exception]()

    async def attempt() -> None:
        began.set()
        await asyncio.sleep(60)

    running = asyncio.create_task(reconnect(attempt, failures.append, Backoff()))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert failures == []


def test_an_outage_is_news_when_it_begins_and_when_it_ends(clock: list[float]) -> None:
    outage = Outage()
    assert outage.end() is None
    assert [outage.begin(), outage.begin()] == [True, False]
    clock[0] += 7.0
    assert [outage.end(), outage.end()] == [7.0, None]
    assert outage.begin()


def test_a_repeated_error_is_news_again_after_a_quiet_time(clock: list[float]) -> None:
    errors = Episodes(30.0)
    assert [errors.is_news("OOM"), errors.is_news("OOM"), errors.is_news("NOPERM")] == [True, False, True]
    clock[0] += 29.0
    assert not errors.is_news("OOM")
    clock[0] += 29.0
    assert not errors.is_news("OOM")
    clock[0] += 30.0
    assert errors.is_news("OOM")
