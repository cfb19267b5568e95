"""Eager coroutines: `async def` functions that never wait, run to their end by one call, without a task.

Many handlers are `async def` only because the interface asks for it: they check something, change a dict, emit and
return. To run a coroutine usually costs a task, and before Python 3.12 (`eager_start`) also one more iteration of the
event loop. That is several times the cost of the handler.

A coroutine that never suspends needs no task. Its first `send(None)` runs it to its end, where it raises
`StopIteration` with the result. Whether a function can suspend is a property of its byte code. CPython compiles every
`await`, `async for`, `async with` and asynchronous comprehension to an instruction that gets an awaitable, followed by
a `SEND` … `YIELD_VALUE` loop. A function without these instructions cannot suspend, whatever it calls. (Functions
nested in it have code objects of their own, which do not count: to call them suspends nothing.)

Rules:
1. The opcodes are listed for each version of CPython, as they may change with any version (tests/repo/test_seams.py
   checks those of the running one).
2. On a version that is not listed, and on other implementations, no function counts as eager. Handlers then run as
   ordinary coroutines, which is correct, and slower.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Coroutine
from types import FunctionType
from typing import Any

_SUSPENDING = frozenset({"GET_AWAITABLE", "GET_AITER", "GET_ANEXT", "SEND", "YIELD_VALUE"})
_SUSPENDING_TO_3_13 = _SUSPENDING | {"BEFORE_ASYNC_WITH"}

SUSPENDING_OPCODES: dict[tuple[int, int], frozenset[str]] = {
    (3, 11): _SUSPENDING_TO_3_13,
    (3, 12): _SUSPENDING_TO_3_13,
    (3, 13): _SUSPENDING_TO_3_13,
    (3, 14): _SUSPENDING,
}
"""By version of CPython: the instructions of which at least one is in every coroutine function that can suspend.

3.14 replaced BEFORE_ASYNC_WITH by LOAD_SPECIAL, which `with` uses too. It is not needed: GET_AWAITABLE follows.
"""


def suspending_opcodes() -> frozenset[str] | None:
    """The instructions for the running Python; None when it is not a known CPython."""
    return SUSPENDING_OPCODES.get(sys.version_info[:2]) if sys.implementation.name == "cpython" else None


def is_eager(function: Callable[..., Any]) -> bool:
    """Whether this is an `async def` whose coroutine ends with its first `send`."""
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, FunctionType) or not plain.__code__.co_flags & inspect.CO_COROUTINE:
        return False
    suspending = suspending_opcodes()
    if suspending is None:
        return False
    return suspending.isdisjoint(instruction.opname for instruction in dis.get_instructions(plain))


def run_eager(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of a function that `is_eager` and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("a coroutine that was taken for eager suspended")
