"""The official JavaScript client, driven from Python: one Node process per test, many clients in it."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).parent / "js" / "driver.mjs"
SECONDS = 15.0
_LINE_LIMIT = 64 * 1024 * 1024


class JsClients:
    """The Node process. `open` is what the `js` fixture gives out."""

    def __init__(self) -> None:
        self._node: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._clients: dict[str, JsClient] = {}

    async def open(
        self,
        url: str,
        namespace: str = "/",
        *,
        token: str | None = None,
        auth: dict[str, Any] | None = None,
        wait: bool = True,
        **options: Any,
    ) -> "JsClient":
        """Open a client; other options go to `io()` as they are (`transports`, `reconnection`, `query`, …).

        `parser="msgpack"` is the one option that is translated. With `forceNew=False`, namespaces share
        a connection.
        """
        await self._start()
        if token is not None or auth is not None:
            options["auth"] = {**(auth or {}), **({"token": token} if token is not None else {})}
        client = JsClient(self, f"client-{len(self._clients) + 1} {namespace}")
        self._clients[client.name] = client
        await self.ask("open", client.name, url=url + namespace, options=options)
        if wait:
            await client.connected()
        return client

    async def ask(self, op: str, client: str, **request: Any) -> Any:
        """Have the driver carry out one operation and return its answer."""
        assert self._node is not None
        assert self._node.stdin is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps(_encode({"id": number, "op": op, "client": client, **request}))
        self._node.stdin.write(line.encode() + b"\n")
        await self._node.stdin.drain()
        return await answer

    async def _start(self) -> None:
        if self._node is not None:
            return
        node = shutil.which("node")
        assert node, "Node.js is not installed: `make test` installs it"
        pipe = asyncio.subprocess.PIPE
        self._node = await asyncio.create_subprocess_exec(
            node, str(DRIVER), stdin=pipe, stdout=pipe, limit=_LINE_LIMIT
        )
        assert self._node.stdout is not None
        self._reader = asyncio.create_task(self._read(self._node.stdout))

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            message = _decode(json.loads(line))
            if "id" in message:
                self._answered(message)
            else:
                self._clients[message["client"]].saw(message["kind"], message["name"], message["args"])
        for answer in self._answers.values():
            answer.set_exception(AssertionError("the Node process ended (see its error): is `npm ci` done?"))

    def _answered(self, message: dict[str, Any]) -> None:
        answer = self._answers.pop(message["id"])
        if answer.done():
            return
        if "error" in message:
            answer.set_exception(JsError(message["error"]))
        else:
            answer.set_result(message["value"])

    async def close(self) -> None:
        if self._node is None or self._reader is None:
            return
        with contextlib.suppress(ProcessLookupError, ConnectionError):
            self._node.stdin.close()  # type: ignore[union-attr]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._node.wait(), 3)
        if self._node.returncode is None:
            self._node.kill()
        await self._node.wait()
        await self._reader


class JsError(AssertionError):
    """The JavaScript side threw, or an ack did not come in time."""


class JsClient:
    """One socket.io-client. Everything it sees is kept: `next` and the others return what came earlier first.

    Every wait has a deadline of 15 s (`seconds=` for another); past it, it fails with a list of what was seen.
    """

    def __init__(self, driver: JsClients, name: str) -> None:
        self.name = name
        self.id: str | None = None
        self.transport: str | None = None
        self.engine_id: str | None = None
        self.recovered = False
        self.is_connected = False
        self._driver = driver
        self._seen: list[tuple[str, str, list[Any]]] = []
        self._unread: defaultdict[tuple[str, str], deque[list[Any]]] = defaultdict(deque)
        self._changed = asyncio.Event()

    def saw(self, kind: str, name: str, args: list[Any]) -> None:
        """Take note of something that the driver reports."""
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

    # What it does

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
        """From now on, ack each such event of the server with these arguments."""
        await self._ask("answer", event=event, args=list(args))

    async def raw(self, packet: str | bytes) -> None:
        """Send a Socket.IO packet as written, such as `2["connect"]`: the client's checks are passed by."""
        await self._ask("raw", packet=packet)

    async def disconnect(self) -> None:
        await self._ask("disconnect")

    async def connect(self) -> None:
        """Connect again (after `disconnect`, a refusal or a kick) and wait for it."""
        self._unread["socket", "connect_error"].clear()
        await self._ask("connect")
        await self.connected()

    async def drop(self) -> None:
        """Lose the connection under the client, which then reconnects by itself."""
        await self._ask("drop")

    async def set_auth(self, **auth: Any) -> None:
        """What the next CONNECT carries."""
        await self._ask("auth", auth=auth)

    async def _ask(self, op: str, **request: Any) -> Any:
        return await self._driver.ask(op, self.name, **request)

    # What it sees

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
        """The next refusal: `{message, data}`."""
        error: dict[str, Any] = (await self._next("socket", "connect_error", seconds=seconds))[0]
        return error

    async def disconnected(self, seconds: float = SECONDS) -> str:
        """The reason of the next disconnect."""
        reason: str = (await self._next("socket", "disconnect", seconds=seconds))[0]
        return reason

    async def upgraded(self, seconds: float = SECONDS) -> None:
        """Wait until the connection is a WebSocket."""
        await self._until(lambda: self.transport == "websocket", "to be upgraded", seconds)

    async def next(
        self, event: str, *, where: Callable[..., bool] | None = None, seconds: float = SECONDS
    ) -> list[Any]:
        """The arguments of the next such event not yet taken; with `where(*args)`, the next that fits."""
        return await self._next("event", event, where, seconds)

    async def io_event(self, name: str, seconds: float = SECONDS) -> list[Any]:
        """The next event of the Manager: reconnect, reconnect_attempt, open, close, error, ping…"""
        return await self._next("manager", name, seconds=seconds)

    async def engine_event(self, name: str, seconds: float = SECONDS) -> list[Any]:
        """The next event of the Engine.IO connection: open, upgrade, upgradeError, close."""
        return await self._next("engine", name, seconds=seconds)

    def received(self, event: str) -> list[list[Any]]:
        """The arguments of every such event so far, taken or not."""
        return [args for kind, name, args in self._seen if (kind, name) == ("event", event)]

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
        lines = [f"  {kind} {name} {json.dumps(_encode(args))[:300]}" for kind, name, args in last]
        return "it saw:\n" + ("\n".join(lines) or "  nothing")


def _encode(value: Any) -> Any:
    match value:
        case bytes() | bytearray() | memoryview():
            return {"$bytes": base64.b64encode(value).decode()}
        case dict():
            return {key: _encode(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_encode(inner) for inner in value]
    return value


def _decode(value: Any) -> Any:
    match value:
        case {"$bytes": str(encoded)}:
            return base64.b64decode(encoded)
        case dict():
            return {key: _decode(inner) for key, inner in value.items()}
        case list():
            return [_decode(inner) for inner in value]
    return value
