"""`/metrics` for Prometheus. Owns the address and the content type; must not know what is counted."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposing(Protocol):
    """Whatever can write its counters in Prometheus' text format."""

    def exposition(self) -> bytes: ...


class MetricsPage:
    def __init__(self, metrics: Exposing) -> None:
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": _CONTENT_TYPE, "Cache-Control": "no-store"}
        return web.Response(body=self._metrics.exposition(), headers=headers)
