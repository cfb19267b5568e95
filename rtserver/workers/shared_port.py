"""Listener of one worker: the shared sockets, the handoff socket, and the control channel to the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, cast

import structlog
from aiohttp import web

from rtserver.process.listening import BACKLOG
from rtserver.workers.control_channel import HURRY, LISTENING, READY, STOP, TAKE, YIELD, YIELDED, ControlChannel
from rtserver.workers.handoff import HandoffSender
from rtserver.workers.handoff_receiver import HandoffReceiver
from rtserver.workers.shared_load import SharedLoad
from rtserver.workers.worker_args import WorkerArgs

log = structlog.get_logger("rtserver.workers")

READY_POLL = 0.1
"""Seconds between two looks at `/readyz` while the worker starts."""


class HandshakeYielder(Protocol):
    """The switch of the engine that decides who opens new sessions."""

    def yield_handshakes(self, yielding: bool) -> None:
        """Send handshakes to the other workers, or no longer."""


class SharedPort:
    """The `ListenerHost` of a worker."""

    def __init__(
        self, args: WorkerArgs, max_payload: int, handoff: HandoffSender, load: SharedLoad, engine: HandshakeYielder
    ) -> None:
        """`max_payload`: the largest body of a request, in bytes."""
        self.welcome = args.welcome
        self._args = args
        self._max_payload = max_payload
        self._handoff = handoff
        self._load = load
        self._engine = engine
        self._receiver: HandoffReceiver | None = None
        self._channel: ControlChannel | None = None
        self._sites: list[web.BaseSite] = []
        self._request_stop: Callable[[], None] = lambda: None
        self._stopping = self._hurried = False
        self._becoming_ready: asyncio.Task[None] | None = None

    def on_start(self) -> None:
        """Nothing to do: the supervisor handles SIGHUP."""

    def sites(self, runner: web.AppRunner) -> Iterable[web.BaseSite]:
        """Return the sites of the shared sockets; requests that other workers hand over are accepted from now on."""
        # Before the first connection, which may belong to another worker.
        new_protocol = cast("Callable[[], asyncio.Protocol]", runner.server)
        self._receiver = HandoffReceiver(Path(self._args.folder), self._args.instance, new_protocol, self._max_payload)
        self._receiver.start()
        self._load.start()
        for descriptor in self._args.listen:
            self._sites.append(web.SockSite(runner, socket.socket(fileno=descriptor), backlog=BACKLOG))
        return self._sites

    def on_listening(self, request_stop: Callable[[], None]) -> None:
        """Report LISTENING to the supervisor, and READY once `/readyz` returns 200."""
        self._request_stop = request_stop
        loop = asyncio.get_running_loop()
        # A service manager may signal every process, and the supervisor passes on the signals that it gets.
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._channel = ControlChannel(socket.socket(fileno=self._args.line), self._on_message)
        log.info("worker_started", pid=os.getpid())
        self._channel.send(LISTENING)
        self._becoming_ready = loop.create_task(self._report_ready(self._channel))

    async def _report_ready(self, channel: ControlChannel) -> None:
        while await self._readiness() != 200:  # noqa: ASYNC110  Redis and the database give no event to wait for
            await asyncio.sleep(READY_POLL)
        channel.send(READY)

    async def _readiness(self) -> int:
        """Return the status of this worker's `/readyz`; 0 where it does not answer."""
        try:
            return (await self._handoff.get(self._args.instance, "/readyz"))[0]
        except OSError:
            return 0

    def _on_message(self, message: bytes) -> None:
        if message == STOP:
            self._stop()
        elif message in (YIELD, TAKE):
            self._set_yielding(message == YIELD)
        elif message in (HURRY, b""):
            if not message:
                log.warning("supervisor_gone")
            self._hurry()

    def _set_yielding(self, yielding: bool) -> None:
        self._engine.yield_handshakes(yielding)
        if self._receiver is not None and not self._stopping:
            (self._receiver.refuse_new if yielding else self._receiver.accept_new)()
        if yielding and self._channel is not None:
            self._channel.send(YIELDED)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            if self._receiver is not None:
                self._receiver.refuse_new()
            self._request_stop()

    def _hurry(self) -> None:
        self._stop()
        if not self._hurried:
            self._hurried = True
            self._request_stop()

    def on_stopping(self) -> None:
        """Nothing to report: the supervisor asked for it."""

    async def stop_accepting(self, runner: web.AppRunner) -> None:
        """Stop accepting: the other workers have the same sockets and take new connections."""
        for site in self._sites:
            await site.stop()
        self._sites.clear()

    def on_closed(self) -> None:
        """Close the handoff socket, the file of the load and the control channel."""
        self._load.close()
        if self._becoming_ready is not None:
            self._becoming_ready.cancel()
        if self._receiver is not None:
            self._receiver.close()
        if self._channel is not None:
            self._channel.close()
