"""Polling for conditions without an event to wait for, such as the state of another process."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def eventually(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Return the first truthy value of `condition`, which may be a coroutine function; fail without one in time."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)
