"""An official JavaScript client in the Node process, controlled by a test."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.js_codec import encode

SECONDS = 15.0
Ask = Callable[..., Awaitable[Any]]


class JsError(AssertionError):
    """The JavaScript side threw, or an ack did not come in time."""


class JsClient:
    """One socket.io-client. All that it receives is kept: `next` and the others return the earliest first.

    Every wait has a deadline of 15 s (`seconds=` for another); past it, it fails with a list of what was seen.
    """

    def __init__(self, ask: Ask, name: str) -> None:
        self.name = name
        self.id: str | None = None
        self.transport: str | None = None
        self.engine_id: str | None = None
        self.recovered = False
        self.is_connected = False
        self._ask_driver = ask
        self._seen: list[tuple[str, str, list[Any]]] = []
        self._unread: defaultdict[tuple[str, str], deque[list[Any]]] = defaultdict(deque)
        self._changed = asyncio.Event()

    def saw(self, kind: str, name: str, args: list[Any]) -> None:
        """Record something that the driver reports."""
        self._seen.append((kind, name, args))
        self._unread[kind, name].append(args)
        match kind, name:
            case "socket", "connect":
                self.is_connected = True
                self.id, self.recovered = args[0]["id"], args[0]["recovered"]
                self.transport = args[0]["transport"]
            case "socket", "disconnect":
                self.is_connected = False
            case "engine", "open" | "upgrade":
                self.engine_id, self.transport = args[0]["id"], args[0]["transport"]
        self._changed.set()

    # Actions

    async def call(self, event: str, *args: Any, seconds: float = SECONDS) -> Any:
        """Emit and return the first argument of the ack."""
        answer = await self.call_all(event, *args, seconds=seconds)
        return answer[0] if answer else None

    async def call_all(self, event: str, *args: Any, seconds: float = SECONDS) -> list[Any]:
        """Emit and return all arguments of the ack."""
        try:
            milliseconds = round(seconds * 1000)
            answer: list[Any] = await self._ask("call", event=event, args=list(args), timeout=milliseconds)
        except JsError as error:
            raise JsError(f"{self.name}: no ack of {event!r}: {error}\n{self._story()}") from None
        return answer

    async def emit(self, event: str, *args: Any, **flags: bool) -> None:
        """Emit without an ack; flags: `volatile`, `compress`."""
        await self._ask("emit", event=event, args=list(args), flags=flags)

    async def answer(self, event: str, *args: Any) -> None:
        """Ack each such event of the server with these arguments from now on."""
        await self._ask("answer", event=event, args=list(args))

    async def raw(self, packet: str | bytes) -> None:
        """Send a Socket.IO packet as written, such as `2["connect"]`, without the client's checks."""
        await self._ask("raw", packet=packet)

    async def disconnect(self) -> None:
        await self._ask("disconnect")

    async def connect(self) -> None:
        """Connect again (after `disconnect`, a refusal or a kick) and wait for it."""
        self._unread["socket", "connect_error"].clear()
        await self._ask("connect")
        await self.connected()

    async def drop(self) -> None:
        """Close the connection below the client, which then reconnects by itself."""
        await self._ask("drop")

    async def set_auth(self, **auth: Any) -> None:
        """Set the payload of the next CONNECT."""
        await self._ask("auth", auth=auth)

    async def _ask(self, op: str, **request: Any) -> Any:
        return await self._ask_driver(op, self.name, **request)

    # Observations

    async def connected(self, seconds: float = SECONDS) -> None:
        """Wait until it is connected; a refusal fails at once."""

        def done() -> bool:
            refusals = self._unread["socket", "connect_error"]
            refused = next((error for error, origin in refusals if origin["byServer"]), None)
            if refused and not self.is_connected:
                raise AssertionError(f"{self.name} was refused: {refused}\n{self._story()}")
            return self.is_connected

        await self._until(done, "to be connected", seconds)

    async def connect_error(self, seconds: float = SECONDS) -> dict[str, Any]:
        """Return the next CONNECT_ERROR: `{message, data}`."""
        error: dict[str, Any] = (await self._next("socket", "connect_error", seconds=seconds))[0]
        return error

    async def disconnected(self, seconds: float = SECONDS) -> str:
        """Return the reason of the next disconnect."""
        reason: str = (await self._next("socket", "disconnect", seconds=seconds))[0]
        return reason

    async def upgraded(self, seconds: float = SECONDS) -> None:
        """Wait until the connection is a WebSocket."""
        await self._until(lambda: self.transport == "websocket", "to be upgraded", seconds)

    async def next(
        self, event: str, *, where: Callable[..., bool] | None = None, seconds: float = SECONDS
    ) -> list[Any]:
        """Return the arguments of the next such event not returned yet; with `where(*args)`, the next that matches."""
        return await self._next("event", event, where, seconds)

    async def io_event(self, name: str, seconds: float = SECONDS) -> list[Any]:
        """Return the next event of the Manager: reconnect, reconnect_attempt, open, close, error, ping…"""
        return await self._next("manager", name, seconds=seconds)

    async def engine_event(self, name: str, seconds: float = SECONDS) -> list[Any]:
        """Return the next event of the Engine.IO connection: open, upgrade, upgradeError, close."""
        return await self._next("engine", name, seconds=seconds)

    def received(self, event: str) -> list[list[Any]]:
        """Return the arguments of every such event so far."""
        return [args for kind, name, args in self._seen if (kind, name) == ("event", event)]

    def times(self, kind: str, name: str) -> int:
        """Return how often that happened; kinds: event, socket, manager, engine."""
        return sum((kind, name) == seen[:2] for seen in self._seen)

    async def _next(
        self, kind: str, name: str, where: Callable[..., bool] | None = None, seconds: float = SECONDS
    ) -> list[Any]:
        unread = self._unread[kind, name]

        def fitting() -> list[Any] | None:
            return next((args for args in unread if where is None or where(*args)), None)

        await self._until(lambda: fitting() is not None, f"{kind} {name!r}", seconds)
        found = fitting()
        assert found is not None
        unread.remove(found)
        return found

    async def _until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name} waited {seconds:.0f} s for {what}\n{self._story()}") from None

    def _story(self) -> str:
        last = self._seen[-40:]
        lines = [f"  {kind} {name} {json.dumps(encode(args))[:300]}" for kind, name, args in last]
        return "it saw:\n" + ("\n".join(lines) or "  nothing")
