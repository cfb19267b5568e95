"""One worker: the whole server, on a port that it shares. Started by the supervisor, never by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import structlog
import typer
from aiohttp import web

from rtserver.app.composition import SERVER, create_app
from rtserver.config.settings import Settings
from rtserver.engine.server import Engine
from rtserver.errors import ConfigError, Unavailable
from rtserver.http.metrics import EVERYBODY
from rtserver.process import serve
from rtserver.process.startup import FAILED, loaded, stop_start
from rtserver.telemetry import log_config
from rtserver.workers.control_channel import HURRY, LISTENING, READY, STOP, TAKE, YIELD, YIELDED, ControlChannel
from rtserver.workers.handoff import HandoffSender
from rtserver.workers.handoff_receiver import HandoffReceiver
from rtserver.workers.metrics_merge import MetricsMerger
from rtserver.workers.worker_args import WorkerArgs

log = structlog.get_logger("rtserver.workers")

READY_POLL = 0.1


class SharedPort:
    """`run.Place` of a worker: the sockets that it was given, its siblings, and the line to its supervisor."""

    def __init__(self, assignment: WorkerArgs, settings: Settings, handover: HandoffSender, engine: Engine) -> None:
        self.welcome = assignment.welcome
        self._assignment = assignment
        self._limit = settings.max_payload
        self._handover = handover
        self._engine = engine
        self._adoption: HandoffReceiver | None = None
        self._line: ControlChannel | None = None
        self._sites: list[web.BaseSite] = []
        self._ask: Callable[[], None] = lambda: None
        self._asked = self._hurried = False
        self._becoming_ready: asyncio.Task[None] | None = None

    def sites(self, runner: web.AppRunner) -> Iterable[web.BaseSite]:
        self._listen_to_siblings(runner)
        for descriptor in self._assignment.listen:
            site = web.SockSite(runner, socket.socket(fileno=descriptor), backlog=serve.BACKLOG)
            self._sites.append(site)
            yield site

    def _listen_to_siblings(self, runner: web.AppRunner) -> None:
        """Before the first connection, which may be for one of them."""
        new_protocol = cast("Callable[[], asyncio.Protocol]", runner.server)
        folder, own = Path(self._assignment.folder), self._assignment.instance
        self._adoption = HandoffReceiver(folder, own, new_protocol, self._limit)
        self._adoption.start()

    def taken(self, runner: web.AppRunner, asked_to_stop: Callable[[], None]) -> None:
        self._ask = asked_to_stop
        loop = asyncio.get_running_loop()
        # A service manager may signal every process, and the supervisor passes on what it got itself.
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._line = ControlChannel(socket.socket(fileno=self._assignment.line), self._heard)
        log.info("worker_started", pid=os.getpid())
        self._line.say(LISTENING)
        self._becoming_ready = loop.create_task(self._tell_ready(self._line))

    async def _tell_ready(self, line: ControlChannel) -> None:
        while await self._status() != 200:  # noqa: ASYNC110 - what it waits for is in Redis and the database
            await asyncio.sleep(READY_POLL)
        line.say(READY)

    async def _status(self) -> int:
        try:
            return (await self._handover.ask(self._assignment.instance, "/readyz"))[0]
        except OSError:
            return 0

    def _heard(self, word: bytes) -> None:
        if word == STOP:
            self._stop()
        elif word in (YIELD, TAKE):
            self._yield_new(word == YIELD)
        elif word in (HURRY, b""):
            if not word:
                log.warning("supervisor_gone")
            self._hurry()

    def _yield_new(self, yielding: bool) -> None:
        self._engine.yield_handshakes(yielding)
        if self._adoption is not None and not self._asked:
            (self._adoption.take_no_new if yielding else self._adoption.take_new)()
        if yielding and self._line is not None:
            self._line.say(YIELDED)

    def _stop(self) -> None:
        if not self._asked:
            self._asked = True
            if self._adoption is not None:
                self._adoption.take_no_new()
            self._ask()

    def _hurry(self) -> None:
        self._stop()
        if not self._hurried:
            self._hurried = True
            self._ask()

    async def leave_port(self, runner: web.AppRunner) -> None:
        """The others have the same socket: what connects from now on is theirs."""
        for site in self._sites:
            await site.stop()
        self._sites.clear()

    def left(self) -> None:
        if self._becoming_ready is not None:
            self._becoming_ready.cancel()
        if self._adoption is not None:
            self._adoption.close()
        if self._line is not None:
            self._line.close()


def run_worker(assignment: WorkerArgs) -> None:
    # Both are for the supervisor; a terminal sends them to the whole group.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = loaded({**assignment.flags, "instance": assignment.instance}, code=FAILED)
    log_config.configure(settings.log_level, settings.log_format)
    structlog.contextvars.bind_contextvars(instance=assignment.instance)
    try:
        app = create_app(settings)
        server = app[SERVER]
        folder, counted = Path(assignment.folder), server.metrics.handed_over
        handover = HandoffSender(folder, assignment.instance, settings.max_payload, counted)
        server.engine.peer_workers = handover
        app[EVERYBODY] = MetricsMerger(handover, assignment.instance).all
        serve._runner()(serve._serve(app, settings, SharedPort(assignment, settings, handover, server.engine)))
    except (ConfigError, Unavailable) as error:
        stop_start(error)


def main(arguments: list[str]) -> int:
    try:
        run_worker(WorkerArgs.read(arguments[0]))
    except typer.Exit as end:
        return end.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
