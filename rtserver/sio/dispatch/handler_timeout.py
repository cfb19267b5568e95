"""Handler timeout: one timer-wheel entry for a handler that waits, nothing for one that does not.

Why not `asyncio.timeout`: it schedules a timer of the event loop for each call, and has to run inside a coroutine of
its own. Here every event would pay for both, although most handlers never suspend, and hardly any times out.

Therefore the handler's coroutine is driven by hand, as `await` (PEP 380's `yield from`) would drive it:

1. `work.send(None)` runs it up to its first suspension. When it ends before, `StopIteration` carries its result, and
   no timer was needed.
2. When it suspends, `send` returns what it awaits: a future that the current task must get, untouched. Only now is a
   timer set, on the engine's wheel, where setting and stopping cost one set operation each.
3. From there on `_yield_from` continues the delegation: it yields each awaited object to the task, and passes the
   task's answer (a value, or an exception such as CancelledError) into the coroutine by `send` or `throw`. The plain
   `yield from work` cannot be used here, since it would begin with `send(None)` and lose the object awaited first.
4. When time is up, the timer cancels the task. As in `asyncio.timeout`, `cancelling()` distinguishes that
   cancellation from one of another origin, and `uncancel()` takes it back, so that the task can continue.

`types.coroutine` makes the generator awaitable. tests/repo/test_seams.py holds the behaviour of CPython and asyncio
on which this depends.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

from rtserver.errors import TimedOut
from rtserver.timer_wheel import Timer, Wheel

Result = TypeVar("Result")


class HandlerTimeout(TimedOut):
    """The handler took too long and was cancelled."""


class _CancelTimer(Timer):
    """Cancels a task when it fires."""

    __slots__ = ("_task", "fired")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        super().__init__()
        self._task = task
        self.fired = False

    def fire(self) -> None:
        self.fired = True
        self._task.cancel()


def with_timeout(seconds: float, wheel: Wheel, work: Coroutine[Any, Any, Result]) -> Awaitable[Result]:
    """An awaitable for the result of `work`. 0 seconds = no limit.

    Raises `HandlerTimeout` when `work` has not finished `seconds` after it first had to wait.
    """
    return _run_with_timeout(seconds, wheel, work) if seconds else work


@types.coroutine
def _run_with_timeout(seconds: float, wheel: Wheel, work: Coroutine[Any, Any, Result]) -> Generator[Any, Any, Result]:
    try:
        awaited = work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine that suspends runs in a task
    timer = _CancelTimer(task)
    wheel.start(timer, seconds)
    try:
        return (yield from _yield_from(work, awaited))
    except asyncio.CancelledError:
        if timer.fired and task.cancelling() == 1:
            raise HandlerTimeout() from None
        raise
    finally:
        wheel.stop(timer)
        if timer.fired:
            task.uncancel()


def _yield_from(work: Coroutine[Any, Any, Result], awaited: Any) -> Generator[Any, Any, Result]:
    """`yield from work`, for a `work` that has begun and has yielded `awaited`."""
    while True:
        try:
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001  # passed on to the coroutine, whatever it is
                awaited = work.throw(error)
            else:
                awaited = work.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
