"""Waiting for what has no event to wait for: another process's doing, seen from outside."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def eventually(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The first truthy value of `condition`, which may be a coroutine function; fails when there is none in time."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)
