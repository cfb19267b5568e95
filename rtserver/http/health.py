"""`/healthz` and `/readyz`: is the process alive, and may it take traffic.

Owns the two answers; must not know what is checked: a check is a name and an async callable that raises.

1. `/healthz` asks nobody else. A supervisor that restarts on it must not be misled by a database that is down.
2. Only what worked and works no more is logged: while something is awaited at the start, who asks is told, and whoever
   makes the connection says what keeps it.
3. However many ask at once, each check runs once at a time: a probe is no way to load the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from rtserver.http.errors import json_response

Check = Callable[[], Awaitable[object]]

_log = structlog.get_logger("rtserver.http")


class Health:
    """`checks` by name; `draining` tells whether the server is on its way out; `timeout` is seconds per check."""

    def __init__(
        self,
        *,
        instance: str,
        version: str,
        checks: Mapping[str, Check],
        draining: Callable[[], bool] = lambda: False,
        timeout: float = 1.0,
    ) -> None:
        self._alive = {"status": "alive", "instance": instance, "version": version}
        self._checks = dict(checks)
        self._draining = draining
        self._timeout = timeout
        self._round: asyncio.Task[dict[str, str]] | None = None
        self._last: dict[str, str] = {}
        self._failed: set[str] = set()
        """Those whose failure was logged."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)]

    async def _healthz(self, request: web.Request) -> web.Response:
        return json_response(self._alive)

    async def _readyz(self, request: web.Request) -> web.Response:
        results = await self.check()
        draining = self._draining()
        ready = not draining and all(result == "ok" for result in results.values())
        body = {"status": "ready" if ready else "not_ready", "draining": draining, "checks": results}
        return json_response(body, 200 if ready else 503)

    async def check(self) -> dict[str, str]:
        """`{name: "ok" | "down"}` of every check, at the latest after `timeout` seconds."""
        if self._round is None:
            self._round = asyncio.create_task(self._run_all())
            self._round.add_done_callback(self._finished)
        return await asyncio.shield(self._round)

    def _finished(self, _: asyncio.Task[dict[str, str]]) -> None:
        self._round = None

    async def _run_all(self) -> dict[str, str]:
        states = await asyncio.gather(*(self._run(name, check) for name, check in self._checks.items()))
        self._last = dict(zip(self._checks, states, strict=True))
        return self._last

    async def _run(self, name: str, check: Check) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                await check()
        except Exception as error:  # noqa: BLE001 - the root of a task: whatever a check raises means "down"
            if self._last.get(name) == "ok":
                self._failed.add(name)
                _log.warning("check_failed", check=name, reason=str(error) or type(error).__name__)
            return "down"
        if name in self._failed:
            self._failed.remove(name)
            _log.info("check_recovered", check=name)
        return "ok"
