"""A real aiohttp server with an engine, and above it a layer that records what it receives."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from rtserver.engine.runner import Runner
from rtserver.engine.server import Engine
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.telemetry.metrics import Metrics
from tests.engine.wire import Answer, Wire, request

Message = str | bytes
POLLING = "EIO=4&transport=polling"


class Recorder:
    """The `MessageReceiver` of one session. `echo`: send every message back."""

    def __init__(self, session: Session, echo: bool = False) -> None:
        self.session = session
        self.messages: list[Message] = []
        self.reasons: list[str] = []
        self._echo = echo
        self._changed = asyncio.Event()

    def receive(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()
        if self._echo:
            self.send(message)

    def session_closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self._changed.set()

    def send(self, message: Message, volatile: bool = False) -> None:
        packet = (
            PreparedMessage(b"4" + message.encode()) if isinstance(message, str) else PreparedMessage.binary(message)
        )
        self.session.push(packet, volatile)

    async def received(self, count: int) -> list[Message]:
        await self._until(lambda: len(self.messages) >= count)
        return self.messages

    async def closed(self) -> str:
        """Why the session ended."""
        await self._until(lambda: bool(self.reasons))
        assert len(self.reasons) == 1
        return self.reasons[0]

    async def _until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not done():
                self._changed.clear()
                await self._changed.wait()


class Listener:
    def __init__(self) -> None:
        self.echo = False
        self.needs_request = False
        self.same_user = False
        """Whether a request with another cookie is of the session's user."""
        self.sessions: list[Recorder] = []

    def session_opened(self, session: Session, request: web.Request) -> Recorder:
        recorder = Recorder(session, self.echo)
        self.sessions.append(recorder)
        return recorder

    async def recognizes(self, session: Session, request: web.Request) -> bool:
        return self.same_user

    @property
    def last(self) -> Recorder:
        return self.sessions[-1]


class Served:
    def __init__(self, engine: Engine, listener: Listener, metrics: Metrics, runner: web.AppRunner) -> None:
        self.engine = engine
        self.listener = listener
        self.metrics = metrics
        self.runner = runner
        self.port: int = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._wires: list[Wire] = []

    async def wire(self, **options: Any) -> Wire:
        wire = await Wire.open(self.port, **options)
        self._wires.append(wire)
        return wire

    async def ask(self, raw: bytes) -> Answer:
        """Send one request on a new connection."""
        return await (await self.wire()).ask(raw)

    async def poll_session(self, query: str = POLLING, **headers: str) -> tuple[str, Recorder]:
        """Open a polling session; returns the query of its requests, and its recorder."""
        answer = await self.ask(request("GET", query, **headers))
        assert answer.status == 200, answer
        recorder = self.listener.last
        return f"{query}&sid={recorder.session.id}", recorder

    async def poll_session_3(self, query: str = "EIO=3&transport=polling") -> tuple[str, Recorder]:
        """The same with revision 3, which the engine must allow."""
        return await self.poll_session(query)

    async def websocket(self, query: str = "EIO=4&transport=websocket") -> tuple[Wire, Recorder]:
        wire = await self.wire()
        await wire.upgrade(query)
        sid = await wire.opened()
        return wire, next(recorder for recorder in self.listener.sessions if recorder.session.id == sid)

    async def upgraded(self) -> tuple[Wire, Recorder, str]:
        """Open a session and upgrade it to WebSocket; returns also the query of its polling requests."""
        query, recorder = await self.poll_session()
        wire = await self.probing(recorder)
        await wire.frame("5")
        await eventually(lambda: recorder.session.transport == "websocket")
        return wire, recorder, query

    async def probing(self, recorder: Recorder) -> Wire:
        wire = await self.wire()
        await wire.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
        await wire.frame("2probe")
        assert await wire.text() == "3probe"
        return wire

    async def polling(self, query: str, **headers: str) -> asyncio.Task[Answer]:
        """Send a GET that hangs on the server."""
        wire = await self.wire()
        session = self.engine.sockets[query.rpartition("=")[2]]
        await wire.send(request("GET", query, **headers))
        await eventually(lambda: session.poll is not None)
        return asyncio.create_task(wire.answer())

    @property
    def traces(self) -> dict[str, Any]:
        """Sessions, connections and timers that the engine still has; empty when there are none."""
        engine = self.engine
        found = {
            "sessions": list(engine.sockets),
            "lingering": list(engine._sessions.lingering),
            "sockets": engine._sessions._websockets,
            "timers": len(engine.wheel),
        }
        return {name: value for name, value in found.items() if value}

    async def deserted(self) -> None:
        await eventually(lambda: not self.traces, lambda: f"still known: {self.traces!s:.300}")

    async def close(self) -> None:
        for wire in self._wires:
            wire.abort()
        await self.engine.disconnect()
        await self.runner.cleanup()


async def eventually(
    done: Callable[[], Any], story: Callable[[], str] = lambda: "it did not happen", seconds: float = 10.0
) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, story()
        await asyncio.sleep(0.002)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both event loops that the server supports: their transports differ in detail."""
    loops = {"asyncio": asyncio.new_event_loop}
    with suppress(ImportError):
        import uvloop

        loops["uvloop"] = uvloop.new_event_loop
    both = item.path.stem in ("test_websocket", "test_takeover", "test_polling_fastpath")
    return loops if both else dict(list(loops.items())[-1:])


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(**options of the engine)`; `tls`, `runner` and `middlewares` are aiohttp's.

    Plain WebSocket handshakes take the fast path, as in production, unless `plain` is False.
    """
    started: list[Served] = []

    async def start(
        *,
        tls: ssl.SSLContext | None = None,
        runner: Any = (),
        middlewares: Any = (),
        echo: bool = False,
        plain: bool = True,
        **options: Any,
    ) -> Served:
        listener, metrics = Listener(), Metrics()
        listener.echo = echo
        engine = Engine(listener, metrics, **options)
        app = web.Application(middlewares=middlewares)
        engine.attach(app)
        app_runner = (Runner if plain else web.AppRunner)(app, shutdown_timeout=0.1, **dict(runner))
        await app_runner.setup()
        await web.TCPSite(app_runner, "127.0.0.1", 0, ssl_context=tls).start()
        served = Served(engine, listener, metrics, app_runner)
        started.append(served)
        return served

    yield start
    for served in started:
        await served.close()
