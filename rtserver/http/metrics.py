"""`/metrics` for Prometheus. Owns the path and the content type; must not know what is counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MERGE: web.AppKey[Callable[[bytes], Awaitable[bytes]]] = web.AppKey("rtserver.metrics.merge")
"""Set it where several processes share one port: it turns the exposition of this process into that of all of them."""


class MetricsExposition(Protocol):
    """The counters of this process."""

    def exposition(self) -> bytes:
        """Return them in Prometheus' text format."""
        ...


class MetricsPage:
    """`?worker=own` returns this process alone, where several share the port."""

    def __init__(self, metrics: MetricsExposition) -> None:
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        """Return the one route."""
        return [web.get("/metrics", self._scrape)]

    async def _scrape(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": _CONTENT_TYPE, "Cache-Control": "no-store"}
        body = self._metrics.exposition()
        merge = request.app.get(MERGE)
        if merge is not None and request.query.get("worker") != "own":
            body = await merge(body)
        return web.Response(body=body, headers=headers)
