"""Answers on their way from the other servers: who is waited for, and when that is over.

Pure counting; knows nothing of Redis. Source: WIRE §1.4, "Counting, timeouts, flows".
"""

from __future__ import annotations

import asyncio
from typing import Any

from rtserver.protocol.adapter import RequestType, Response


class Replies:
    """The responses to one request, complete when `expected` have come."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._complete = asyncio.Event()
        self.responses: list[Response] = []

    def take(self, response: Response) -> None:
        self.responses.append(response)
        if len(self.responses) >= self._expected:
            self._complete.set()

    async def wait(self, seconds: float) -> bool:
        """Whether everybody answered within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._complete.wait()
        except TimeoutError:
            return False
        return True


class Acks:
    """The acks of the clients of a whole cluster to one broadcast.

    Complete when every server has told how many clients it asked, and as many have answered.
    """

    def __init__(self) -> None:
        self._servers: int | None = None
        self._counted = 0
        self._clients = 0
        self._complete = asyncio.Event()
        self.values: list[Any] = []

    def take(self, response: Response) -> None:
        if response.type == RequestType.BROADCAST_CLIENT_COUNT:
            self.count(response.client_count)
        elif response.type == RequestType.BROADCAST_ACK:
            self.ack(response.body.get("packet"))

    def count(self, clients: int) -> None:
        self._counted += 1
        self._clients += clients
        self._check()

    def ack(self, value: Any) -> None:
        self.values.append(value)
        self._check()

    def gone(self, clients: int) -> None:
        """So many of those counted will not answer any more."""
        self._clients -= clients
        self._check()

    def expect_servers(self, servers: int) -> None:
        self._servers = servers
        self._check()

    async def wait(self) -> None:
        await self._complete.wait()

    def _check(self) -> None:
        servers_told = self._servers is not None and self._counted >= self._servers
        if servers_told and len(self.values) >= self._clients:
            self._complete.set()
