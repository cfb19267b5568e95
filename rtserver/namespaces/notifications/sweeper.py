"""Has expired notifications removed, now and then. They are out of sight already; this is for the database's sake."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from rtserver.errors import EventError

EVERY = 60.0

log = structlog.get_logger("rtserver.notifications")


async def sweep_forever(sweep: Callable[[], Awaitable[int]], every: float = EVERY) -> None:
    """`sweep` removes a batch and tells how many; 0 for none left."""
    while True:
        await asyncio.sleep(every * random.uniform(0.5, 1.0))  # noqa: S311  servers take turns, more or less
        try:
            while await sweep():
                pass
        except EventError as error:
            log.warning("not_swept", error=error.message)
