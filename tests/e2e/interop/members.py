"""The members of a mixed cluster, and clients of each. Both kinds of servers are driven by the names of Node's API."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio

from tests.support.js_client import JsClient
from tests.support.node_server import NodeError, NodeServer
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Open = Callable[..., Awaitable[JsClient]]
_numbers = itertools.count(1)


class Rt:
    """An rtserver process, driven through its `/control` namespace."""

    def __init__(self, server: RtServer) -> None:
        self.server = server
        self.url = server.url
        self.control: JsClient | None = None

    async def do(self, *steps: tuple[Any, ...], namespace: str = "/wire") -> Any:
        told = await self.ask(*steps, namespace=namespace)
        return told["value"]

    async def ask(self, *steps: tuple[Any, ...], namespace: str = "/wire") -> Any:
        """Return the value and whether it is partial."""
        assert self.control is not None
        told = await self.control.call("do", namespace, steps)
        if "error" in told:
            raise NodeError(told["error"], told["responses"])
        return told

    async def metric(self, name: str, **labels: str) -> float:
        import aiohttp

        wanted = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")
        async with aiohttp.ClientSession() as http, http.get(self.url + "/metrics") as response:
            text = await response.text()
        found = re.search(rf"^{re.escape(wanted)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


class Cluster:
    """`node` and `rts`: the servers. `room` returns unique room names, so that tests do not get each other's events."""

    def __init__(self, redis_server: RedisServer, node: NodeServer, rts: list[Rt], open_client: Open) -> None:
        self.redis = redis_server
        self.node = node
        self.rts = rts
        self.sharded = False
        self._open = open_client

    async def join(self) -> None:
        for rt in self.rts:
            rt.control = await self._open(rt.url, "/control", transports=["websocket"])
        self.room = f"room{next(_numbers)}"

    async def leave(self) -> None:
        for rt in self.rts:
            rt.control = None

    def member(self, kind: str) -> Any:
        return self.node if kind == "node" else self.rts[0]

    def others(self, kind: str) -> list[Any]:
        return [member for member in (self.node, *self.rts) if member is not self.member(kind)]

    async def clients(self, *rooms: Any) -> list[JsClient]:
        """One on each server: Node, rtserver, rtserver."""
        clients = await asyncio.gather(*(self.client(member, *rooms) for member in (self.node, *self.rts)))
        if self.sharded:
            await asyncio.gather(*(self._listened(str(room)) for room in rooms))
        return list(clients)

    async def _listened(self, room: str) -> None:
        """Wait until every server is subscribed to the room; a join does not wait for that, neither in Node."""
        async with redis.asyncio.Redis.from_url(self.redis.url) as client, asyncio.timeout(15):
            while await self.listeners(client, room) < 1 + len(self.rts):  # noqa: ASYNC110  # Redis tells nobody
                await asyncio.sleep(0.01)

    @staticmethod
    async def listeners(client: redis.asyncio.Redis, room: str) -> int:
        return int((await client.execute_command("PUBSUB", "SHARDNUMSUB", f"socket.io#/wire#{room}#"))[1])

    async def client(self, member: Any, *rooms: Any) -> JsClient:
        client = await self._open(member.url, "/wire", transports=["websocket"])
        if rooms:
            await client.call("join", list(rooms))
        return client
