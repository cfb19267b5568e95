"""Listener of a server that has its port to itself: its own socket, or those that systemd passed on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable
from functools import partial

import structlog
from aiohttp import web

from rtserver.process.listening import BACKLOG, listen
from rtserver.process.systemd import inherited_sockets, notify

log = structlog.get_logger("rtserver")


class StandaloneHost:
    """The `ListenerHost` of a single process. It reports to systemd, where systemd started it."""

    welcome = True

    def __init__(self, host: str, port: int, *, drains: bool) -> None:
        """`drains`: whether clients leave over a period of time, in which new requests are still answered."""
        self._host = host
        self._port = port
        self._drains = drains
        self._inherited: list[socket.socket] = []

    def on_start(self) -> None:
        """Keep SIGHUP from ending the server, except where a closed terminal sends it."""
        if os.isatty(0):
            return
        # `systemctl reload` sends it: the unit is also for several workers.
        hint = "one process is replaced by a restart, several workers by a reload"
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, partial(log.warning, "not_reloaded", hint=hint))

    def sites(self, runner: web.AppRunner) -> Iterable[web.BaseSite]:
        """Return the sockets that systemd passed on, or else those for the host and port of the settings."""
        self._inherited = inherited_sockets()
        sockets = self._inherited or listen(self._host, self._port)
        return [web.SockSite(runner, listening, backlog=BACKLOG) for listening in sockets]

    def on_listening(self, request_stop: Callable[[], None]) -> None:
        """Report readiness to systemd."""
        notify("READY=1")

    def on_stopping(self) -> None:
        """Report to systemd that the server stops."""
        notify("STOPPING=1")

    async def stop_accepting(self, runner: web.AppRunner) -> None:
        """Stop accepting where systemd keeps the socket and the server is about to end.

        New connections then wait in the socket's queue, which systemd owns, for the next server.
        """
        if self._inherited and not self._drains:
            for site in runner.sites:
                await site.stop()

    def on_closed(self) -> None:
        """Nothing to release: the sockets are closed by the runner, or are systemd's."""
