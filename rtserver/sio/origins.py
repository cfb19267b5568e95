"""Which pages may connect, by the Origin header that browsers send. Tells the log whom it refuses."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from rtserver.engine.contracts import Asked
from rtserver.engine.origins import is_own

_log = structlog.get_logger("rtserver.sio")

_TOLD = 100
"""Origins that are remembered as told; more of them are refused without a word."""
_SHOWN = 200


class Origins:
    """Which pages may connect: those named, and those of the server's own host.

    Each refused one is logged once, as its browser gives the page no reason that it could show.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)
        self._told: set[str] = set()

    def allows(self, origin: str, request: Asked) -> bool:
        if origin in self._allowed or is_own(origin, request):
            return True
        self._tell(origin[:_SHOWN])
        return False

    def _tell(self, origin: str) -> None:
        if origin not in self._told and len(self._told) < _TOLD:
            self._told.add(origin)
            _log.info("origin_refused", origin=origin, reason="RTSERVER_CORS_ORIGINS does not name it")
