"""The process: event loop, signals, listening socket, what is printed at the start. The application is `app`'s."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Protocol, TextIO

import structlog
from aiohttp import web

from rtserver.app.composition import can_sign, create_app, dev_token
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from rtserver.errors import ConfigError
from rtserver.process.shutdown import LeavePort, Shutdown
from rtserver.process.systemd import inherited_sockets, notify

log = structlog.get_logger("rtserver")

BACKLOG = 4096
# The server makes few cycles, and many objects that live as long as a connection: look rarely, and at the young only.
COLLECTOR = (10_000, 50, 100)
SHUTDOWN_SECONDS = 5.0
IDLE_SECONDS = 75.0
"""For the next request to come whole, the first one included; more than proxies keep their connections idle (60)."""


class ListenerHost(Protocol):
    """Where a server stands that shares its port with others (`rtserver.workers`)."""

    welcome: bool
    """Whether to print what a person at a terminal wants to see."""

    def sites(self, runner: web.AppRunner) -> Iterable[web.BaseSite]: ...

    def taken(self, runner: web.AppRunner, asked_to_stop: Callable[[], None]) -> None:
        """It listens; from now on `asked_to_stop` may be called, as for each SIGTERM."""

    async def leave_port(self, runner: web.AppRunner) -> None:
        """New connections are for the others, and the clients of this server are about to be closed."""

    def left(self) -> None:
        """Every connection is closed."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; returns after an orderly stop."""
    for warning in settings.warnings():
        log.warning("settings", warning=warning)
    app = create_app(settings)
    _runner()(_serve(app, settings))


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """uvloop's where it is installed, else asyncio's."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.run
    return asyncio.run


async def _serve(app: web.Application, settings: Settings, place: ListenerHost | None = None) -> None:
    stopping = Shutdown(app)
    stopping.listen()
    if place is None and not os.isatty(0):
        # `systemctl reload`, of a unit that is also for several workers. A terminal that is closed still ends it.
        hint = "one process is replaced by a restart, several workers by a reload"
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, partial(log.warning, "not_reloaded", hint=hint))
    runner = Runner(
        app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS, keepalive_timeout=IDLE_SECONDS
    )
    try:
        # What a refused start has begun by then is ended like the rest.
        await runner.setup()
        given = inherited_sockets() if place is None else []
        for site in _sites(runner, settings, given) if place is None else place.sites(runner):
            await _start(site, settings)
        url = f"http://{_shown(settings.host)}:{_port(runner)}"
        log.info("listening", url=url, mode=settings.mode)
        calm_collector()
        if place is not None:
            place.taken(runner, stopping.ask)
        else:
            notify("READY=1")
        if settings.mode == "development" and (place is None or place.welcome):
            _print_welcome(settings, url, sys.stdout)
        await stopping.asked()
        leave_port: LeavePort | None = None
        if place is not None:
            leave_port = partial(place.leave_port, runner)
        elif given and not settings.drain_seconds:
            # Who comes now waits in the socket's queue, which is not ours, for the server that comes after this one.
            leave_port = partial(_stop_listening, runner)
        if place is None:
            notify("STOPPING=1")
        await stopping.drain(settings.drain_delay, settings.drain_seconds, leave_port)
    finally:
        await runner.cleanup()
        if place is not None:
            place.left()
    log.info("stopped")


def _sites(runner: web.AppRunner, settings: Settings, given: list[socket.socket]) -> Iterable[web.BaseSite]:
    if not given:
        yield web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG)
    for listening in given:
        yield web.SockSite(runner, listening, backlog=BACKLOG)


async def _start(site: web.BaseSite, settings: Settings) -> None:
    """Raises `ConfigError` when the port cannot be had."""
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        fault = f"{settings.host}:{settings.port} cannot be listened on: {reason}."
        raise ConfigError([f"{fault} Stop what is there, or choose another RTSERVER_PORT."]) from None


async def _stop_listening(runner: web.AppRunner) -> None:
    for site in runner.sites:
        await site.stop()


def calm_collector() -> None:
    """Keep the garbage collector from going through what was loaded at the start, and from coming often.

    At thousands of clients it is otherwise most of the CPU time, and its pauses are the tail of the latency.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR)


def _port(runner: web.AppRunner) -> int:
    """The port in use, which the system chose where 0 was asked for."""
    return int(runner.addresses[0][1])


def _shown(host: str) -> str:
    """An address that a browser on this machine can open."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _print_welcome(settings: Settings, url: str, out: TextIO) -> None:
    """What a person who just typed `make run` wants to see. Tokens are printed, never logged."""
    out.write(
        f"""
  rtserver is running in development mode.

    Open           {url}/
    Chat           {url}/chat
    Notifications  {url}/notifications
    Admin          {url}/admin/

{_tokens(settings)}
  Stop with Ctrl+C.
"""
    )
    out.flush()


def _tokens(settings: Settings) -> str:
    if not can_sign(settings):
        return "  Tokens are checked by a public key here, so they are made elsewhere.\n"
    user = dev_token(settings, "alice", "Alice")
    admin = dev_token(settings, "admin", "Admin", ("admin",))
    return f"  Tokens that work here, for your own client:\n\n    user alice     {user}\n\n    admin          {admin}\n"
