"""Health probes: `/healthz` (is the process alive) and `/readyz` (may it receive traffic).

Owns the two responses; must not know what is checked: a check is a name and an async callable that raises.

1. `/healthz` depends on no other service: a supervisor that restarts on it must not react to a database that is down.
2. Only the failure of a check that has passed before is logged. While a service is awaited at the start, the probe
   reports it, and the code that connects to the service logs the reason.
3. Each check runs once at a time, however many probes there are: probes cannot put load on the database.
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
    """`checks` by name; `draining()` tells whether the server is about to stop; `timeout`: seconds for each check."""

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
        """Checks whose failure was logged."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of both probes."""
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
        """Return `{name: "ok" | "down"}` for every check, within `timeout` seconds."""
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
