"""Checks that a coroutine never suspends, for example not for an unreachable Redis."""

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(asked: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; return its result or raise its exception. Fails when it suspends."""
    try:
        asked.send(None)
    except StopIteration as returned:
        return returned.value  # type: ignore[no-any-return]
    asked.close()
    raise AssertionError("it waits")
