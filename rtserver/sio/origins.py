"""Which pages may connect, by the Origin header that browsers send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Origins:
    """Which pages may connect: those named, and those of the server's own host."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def __call__(self, origin: str, environ: Mapping[str, Any]) -> bool:
        return origin in self._allowed or origin == f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST')}"
