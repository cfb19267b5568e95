"""The Node process that runs the official JavaScript clients: one per test, with many clients."""

import asyncio
import contextlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.js_client import JsClient, JsError
from tests.support.js_codec import decode, encode

DRIVER = Path(__file__).parent / "js" / "driver.mjs"
_LINE_LIMIT = 64 * 1024 * 1024


class JsClients:
    """The Node process. `open` is the `js` fixture."""

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
    ) -> JsClient:
        """Open a client; other options go to `io()` as they are (`transports`, `reconnection`, `query`, …).

        `parser="msgpack"` is translated, and `version=2` or `3` takes that version of the client. With
        `forceNew=False`, namespaces share a connection.
        """
        await self._start()
        if token is not None or auth is not None:
            options["auth"] = {**(auth or {}), **({"token": token} if token is not None else {})}
        client = JsClient(self.ask, f"client-{len(self._clients) + 1} {namespace}")
        self._clients[client.name] = client
        await self.ask("open", client.name, url=url + namespace, options=options)
        if wait:
            await client.connected()
        return client

    async def ask(self, op: str, client: str, **request: Any) -> Any:
        """Have the driver execute one operation; return its answer."""
        assert self._node is not None
        assert self._node.stdin is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps(encode({"id": number, "op": op, "client": client, **request}))
        self._node.stdin.write(line.encode() + b"\n")
        await self._node.stdin.drain()
        return await answer

    async def _start(self) -> None:
        if self._node is not None:
            return
        node = shutil.which("node")
        assert node, "Node.js is not installed: `make test` installs it"
        pipe = asyncio.subprocess.PIPE
        self._node = await asyncio.create_subprocess_exec(node, str(DRIVER), stdin=pipe, stdout=pipe, limit=_LINE_LIMIT)
        assert self._node.stdout is not None
        self._reader = asyncio.create_task(self._read(self._node.stdout))

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            message = decode(json.loads(line))
            if "id" in message:
                self._answered(message)
            else:
                self._clients[message["client"]].saw(message["kind"], message["name"], message["args"])
        for answer in [answer for answer in self._answers.values() if not answer.done()]:
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
