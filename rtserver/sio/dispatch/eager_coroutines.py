"""Coroutines that never wait: `async def` for the look of it, done when they are first run.

Such a handler needs no task, which before Python 3.12 costs a turn of the event loop. Whether a function may wait is
read off its byte code: whatever suspends a coroutine (await, async with, async for) compiles to one of `_WAITS`.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Coroutine
from types import FunctionType
from typing import Any

_WAITS = frozenset({"SEND", "YIELD_VALUE", "GET_AWAITABLE", "GET_AITER", "GET_ANEXT"})


def is_eager(function: Callable[..., Any]) -> bool:
    """Whether a call of this `async def` gives a coroutine that is done when it is first run."""
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, FunctionType) or not inspect.iscoroutinefunction(plain):
        return False
    return not any(instruction.opname in _WAITS for instruction in dis.get_instructions(plain))


def run_eager(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of a function that `is_eager` and give its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("a coroutine waited that cannot")
