"""`/metrics` for Prometheus. Owns the address and the content type; must not know what is counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

EVERYBODY: web.AppKey[Callable[[bytes], Awaitable[bytes]]] = web.AppKey("rtserver.metrics.everybody")
"""Set it where several processes answer on one port: it makes of what this one counted what all of them did."""


class MetricsExposition(Protocol):
    """Whatever can write its counters in Prometheus' text format."""

    def exposition(self) -> bytes: ...


class MetricsPage:
    def __init__(self, metrics: MetricsExposition) -> None:
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": _CONTENT_TYPE, "Cache-Control": "no-store"}
        body = self._metrics.exposition()
        everybody = request.app.get(EVERYBODY)
        if everybody is not None and request.query.get("worker") != "own":
            body = await everybody(body)
        return web.Response(body=body, headers=headers)
