"""How long a handler may take. One that never waits costs nothing here; one that waits, a place on the timer wheel."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

from rtserver.errors import TimedOut
from rtserver.timer_wheel import Timer, Wheel

Result = TypeVar("Result")


class HandlerTimeout(TimedOut):
    """The handler took too long, and was cancelled."""


class _Limit(Timer):
    __slots__ = ("_task", "rang")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        super().__init__()
        self._task = task
        self.rang = False

    def fire(self) -> None:
        self.rang = True
        self._task.cancel()


def with_timeout(seconds: float, wheel: Wheel, work: Coroutine[Any, Any, Result]) -> Awaitable[Result]:
    """`work`, which raises `HandlerTimeout` when it is not done `seconds` after it first had to wait. 0 = no limit."""
    return _watched(seconds, wheel, work) if seconds else work


@types.coroutine
def _watched(seconds: float, wheel: Wheel, work: Coroutine[Any, Any, Result]) -> Generator[Any, Any, Result]:
    try:
        awaited = work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # whatever waits runs in a task
    limit = _Limit(task)
    wheel.start(limit, seconds)
    try:
        return (yield from _rest(work, awaited))
    except asyncio.CancelledError:
        if limit.rang and task.cancelling() == 1:
            raise HandlerTimeout() from None
        raise
    finally:
        wheel.stop(limit)
        if limit.rang:
            task.uncancel()


def _rest(work: Coroutine[Any, Any, Result], awaited: Any) -> Generator[Any, Any, Result]:
    """What `yield from work` does once `work` has begun and waits for `awaited`."""
    while True:
        try:
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001  # handed on, whatever it is
                awaited = work.throw(error)
            else:
                awaited = work.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
