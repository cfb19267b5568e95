"""The server process: event loop, listening, readiness, orderly stop. The application itself is `app`'s.

`serve` is the same for a single process and for one of several workers. What differs between the two is a
`ListenerHost`: which sockets there are, and to whom it reports readiness and the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Protocol

import structlog
from aiohttp import web

from rtserver.app.composition import SERVER, create_app, own_namespaces
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from rtserver.process.listening import listen_error, shown_address
from rtserver.process.shutdown import Shutdown
from rtserver.process.standalone_host import StandaloneHost
from rtserver.process.welcome import print_welcome
from rtserver.protocol.addresses import UNIX_HOST

log = structlog.get_logger("rtserver")

# The server makes few reference cycles, and many objects that live as long as a connection: collect rarely, and mostly
# the young generation.
COLLECTOR = (10_000, 50, 100)
SHUTDOWN_SECONDS = 5.0
IDLE_SECONDS = 75.0
"""For a whole request to arrive, the first one included; longer than proxies keep idle connections (60)."""


class ListenerHost(Protocol):
    """The surroundings of a server process. The methods are called in this order, each once."""

    welcome: bool
    """Whether to print the welcome text for a person at a terminal."""

    def on_start(self) -> None:
        """Called in the event loop, before anything is set up."""

    def sites(self, runner: web.AppRunner) -> Iterable[web.BaseSite]:
        """Return what to listen on; `runner` is set up."""
        ...

    def on_listening(self, request_stop: Callable[[], None]) -> None:
        """The server accepts connections. From now on `request_stop` may be called, once for each SIGTERM."""

    def on_stopping(self) -> None:
        """The server was asked to stop."""

    async def stop_accepting(self, runner: web.AppRunner) -> None:
        """New connections belong to other processes from now on; the clients of this one are about to be closed."""

    def on_closed(self) -> None:
        """Every connection is closed. Also called when the start failed."""


def run_standalone(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT; returns after an orderly stop.

    Raises `ConfigError` or `Unavailable` when the server cannot start.
    """
    for warning in settings.warnings():
        log.warning("settings", warning=warning)
    app = create_app(settings)
    run(serve(app, settings, StandaloneHost(settings.host, settings.port, drains=settings.drain_seconds > 0)))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a new event loop: uvloop's where it is installed, else asyncio's."""
    run_loop: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
    with contextlib.suppress(ImportError):
        from uvloop import run as run_loop
    run_loop(main)


async def serve(app: web.Application, settings: Settings, host: ListenerHost) -> None:
    """Serve `app` until it is asked to stop, then close its clients. Raises `ConfigError` when the port is taken."""
    shutdown = Shutdown(app)
    shutdown.install_signal_handlers()
    host.on_start()
    runner = Runner(
        app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS, keepalive_timeout=IDLE_SECONDS,
        auto_decompress=False,  # a body is inflated by what wants it, if anything does
    )  # fmt: skip
    try:
        # A start that fails half-way is cleaned up like a server that ran.
        await runner.setup()
        url = await _listen(runner, settings, host)
        log.info("listening", url=url, mode=settings.mode)
        calm_collector()
        host.on_listening(shutdown.request)
        if settings.development and host.welcome and not url.startswith(UNIX_HOST):
            print_welcome(settings, url, own_namespaces(app[SERVER]), sys.stdout)
        await shutdown.requested()
        host.on_stopping()
        await shutdown.drain(settings.drain_delay, settings.drain_seconds, partial(host.stop_accepting, runner))
    finally:
        await runner.cleanup()
        host.on_closed()
    log.info("stopped")


async def _listen(runner: web.AppRunner, settings: Settings, host: ListenerHost) -> str:
    """Start every site of the host; return the address of the server. Raises `ConfigError`."""
    for site in host.sites(runner):
        try:
            await site.start()
        except OSError as error:
            raise listen_error(settings.host, settings.port, error) from None
    return shown_address(settings.host, runner.addresses[0])


def calm_collector() -> None:
    """Exempt what was loaded at the start from garbage collection, and collect rarely.

    With thousands of clients the collector otherwise takes most of the CPU time, and its pauses dominate the tail of
    the latency.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR)
    gc.enable()
