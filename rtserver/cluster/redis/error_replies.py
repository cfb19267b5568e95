"""What Redis answers with an error: counted by code, and logged once as long as it goes on.

Redis is there, so this is no outage: it is full, forbids the command to this user, cannot write its file, …
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import structlog
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

log = structlog.get_logger("rtserver.redis")

QUIET = 30.0
"""Seconds without an error of a code after which the next one is news."""

# redis-py takes the code off the text of those that it has a class for.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (NoPermissionError, "NOPERM"),
    (NoScriptError, "NOSCRIPT"),
    (MovedError, "MOVED"),
    (ClusterDownError, "CLUSTERDOWN"),
    (BusyLoadingError, "LOADING"),
)
_OTHERS = re.compile(r"(MISCONF|NOREPLICAS|BUSY|TRYAGAIN|CROSSSLOT|WRONGTYPE|ERR)\b")


class ErrorReplyLog:
    """The text of an error is not logged: Redis may repeat in it what it was given."""

    def __init__(self, count: Callable[[str], None], address: str) -> None:
        self._count, self._address = count, address
        self._last: dict[str, float] = {}

    def note(self, error: ResponseError) -> None:
        code = code_of(error)
        self._count(code)
        now = time.monotonic()
        if now - self._last.get(code, -QUIET) >= QUIET:
            log.warning("redis_refuses", redis=self._address, code=code)
        self._last[code] = now


def code_of(error: ResponseError) -> str:
    """One of a few words, whatever Redis says."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    found = _OTHERS.match(str(error))
    return found[1] if found else "ERR"
