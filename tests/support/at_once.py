"""What must not wait: for a Redis that is away, say."""

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(asked: Coroutine[Any, Any, T]) -> T:
    """What it returns or raises; fails when it waits for anything, however briefly."""
    try:
        asked.send(None)
    except StopIteration as returned:
        return returned.value  # type: ignore[no-any-return]
    asked.close()
    raise AssertionError("it waits")
