"""Which pages may connect, by the Origin header that browsers send."""

from __future__ import annotations

from collections.abc import Iterable

from rtserver.engine.contracts import Asked
from rtserver.engine.origins import is_own


class Origins:
    """Which pages may connect: those named, and those of the server's own host."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def allows(self, origin: str, request: Asked) -> bool:
        return origin in self._allowed or is_own(origin, request)
