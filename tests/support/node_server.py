"""A real Node Socket.IO server with the official Redis adapter: see support/js/server.mjs."""

import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.js_codec import decode, encode
from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes

SCRIPT = Path(__file__).parent / "js" / "server.mjs"


class NodeError(Exception):
    """An error thrown in Node; `responses` are the acks received before it."""

    def __init__(self, message: str, responses: Any) -> None:
        super().__init__(message)
        self.responses = responses


class NodeServer:
    """`options` are those of the adapter: `publishOnSpecificResponseChannel`, `requestsTimeout`, `key`."""

    def __init__(self, processes: Processes, redis_url: str, **options: Any) -> None:
        node = shutil.which("node")
        assert node, "Node.js is not installed: `make test` installs it"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder = processes.new_folder("node")
        command = [node, str(SCRIPT), str(self.port), redis_url, json.dumps(options)]
        self._process = processes.add(Process(f"node {self.port}", command, log=folder / "log"))
        self.pause, self.resume, self.kill = self._process.pause, self._process.resume, self._process.kill

    def start(self) -> None:
        self._process.start(lambda: accepts_connections(self.port))

    async def do(self, *steps: tuple[Any, ...], namespace: str = "/wire", emitter: bool = False) -> Any:
        """Call a chain of methods and properties of Node's API, from the namespace; return the last value."""
        body = {"with": "emitter" if emitter else "server", "namespace": namespace, "steps": encode(list(steps))}
        async with aiohttp.ClientSession() as http, http.post(self.url, json=body) as response:
            told = decode(await response.json())
        if "error" in told:
            raise NodeError(told["error"], told["responses"])
        return told["value"]
