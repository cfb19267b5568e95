"""Error replies of Redis: counted by code, and logged once per episode.

Redis is reachable, so this is no outage: it is full, forbids the command to this user, cannot write its file, …
A command that is refused is reported by its name: see `rights`.
"""

from __future__ import annotations

import re
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

from rtserver.cluster.redis.rights import refusal_of
from rtserver.reconnect import Episodes

log = structlog.get_logger("rtserver.redis")

QUIET = 30.0
"""Seconds without an error of the same code after which the next one is logged again."""

# redis-py removes the code from the text of errors that it has a class for.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (NoPermissionError, "NOPERM"),
    (NoScriptError, "NOSCRIPT"),
    (MovedError, "MOVED"),
    (ClusterDownError, "CLUSTERDOWN"),
    (BusyLoadingError, "LOADING"),
)
_OPTIONAL = frozenset({"HELLO"})
"""Commands that are asked for and not needed."""
_OTHERS = re.compile(r"(MISCONF|NOREPLICAS|BUSY|TRYAGAIN|CROSSSLOT|WRONGTYPE|ERR)\b")


class ErrorReplyLog:
    """The text of an error is not logged: Redis may repeat in it what it was given."""

    def __init__(self, count: Callable[[str], None], address: str) -> None:
        self._count, self._address = count, address
        self._episodes = Episodes(QUIET)

    def note(self, error: ResponseError, command: str = "") -> None:
        """Count the error, and log it unless errors of its code, or refusals of its command, are already going on.

        `command` is what was sent, in capitals.
        """
        refusal = refusal_of(error, command)
        code = code_of(error) if refusal is None else refusal.code
        self._count(code)
        if command in _OPTIONAL and refusal is not None:
            return
        given = {} if refusal is None else {"command": refusal.command, "reason": refusal.reason}
        if self._episodes.is_news(code if refusal is None else f"{code} {refusal.command}"):
            log.warning("redis_refuses", redis=self._address, code=code, **given)


def code_of(error: ResponseError) -> str:
    """Return the error code, one of a fixed set of words (a metric label), `ERR` for any other."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    found = _OTHERS.match(str(error))
    return found[1] if found else "ERR"
