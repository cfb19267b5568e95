"""Pending replies: counts the responses of other servers, and decides when to stop waiting.

Pure counting; knows nothing of Redis.

Redis reports how many servers are subscribed to the channel of a request, but not which; and a response does not name
its sender. So a request is complete when as many responses came as there were subscribers. That number may be too high:
a server that hangs or has just died stays subscribed for a while, and a request that waits for it would always take
its full timeout. Therefore two events are distinguished:

    likely complete   all responses are there but those of the peers that missed the last deadline
    complete          all responses are there

A request waits for the first one up to its timeout, then for the second one up to the grace. If a peer is back, its
response comes within the grace and the request is complete; if it is dead, only the grace is lost.

The number may also be unknown: Redis forbids the question, or answers it late. Such a request is likely complete from
the start, and never complete: what comes within the grace is the result, and it is partial.

A broadcast with acks has two counts. Each server first reports how many clients it asked; then come the acks of the
clients. It is complete when all servers have reported and as many acks came as clients were asked. Local clients count
like those of a server, and clients that disconnect are subtracted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rtserver.protocol.adapter import RequestType, Response


class Pending:
    """Waits for completeness; or for likely completeness, and the grace after that."""

    def __init__(self) -> None:
        self._likely = asyncio.Event()
        self._complete = asyncio.Event()

    async def wait(self, seconds: float, grace: float | None = None) -> bool:
        """Wait up to `seconds`; return whether everything came. Without `grace`, wait for everything that long."""
        try:
            async with asyncio.timeout(seconds):
                while grace is not None and not self._complete.is_set():
                    await self._likely.wait()
                    if await self._completed_within(grace):
                        break
                    if self._likely.is_set():  # otherwise a late peer is back, and there is something to wait for
                        return False
                await self._complete.wait()
        except TimeoutError:
            return False
        return True

    async def _completed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._complete.wait()
        except TimeoutError:
            return False
        return True

    def _update(self, *, likely: bool, complete: bool) -> None:
        if likely or complete:
            self._likely.set()
        else:
            self._likely.clear()
        if complete:
            self._complete.set()


class PendingReplies(Pending):
    """The responses to one request, complete when `expected` have come; never if that is None, unknown.

    `unresponsive`: the number of responses that will probably not come. `items`: the name of the list that a response
    must contain. Two servers never have the same sockets or rooms, so a second equal list is a repetition and counts
    once.
    """

    def __init__(self, expected: int | None, *, unresponsive: int = 0, items: str | None = None) -> None:
        super().__init__()
        self.expected = expected
        self.partial = False
        self._unresponsive = unresponsive
        self._items = items
        self.responses: list[Response] = []
        self._check()

    @property
    def missing(self) -> int:
        """The number of servers that are known to owe a response."""
        return max(0, (self.expected or 0) - len(self.responses))

    def on_response(self, response: Response) -> None:
        if self._items is not None and self._repeated(response.items(self._items)):
            return
        self.responses.append(response)
        self._check()

    def _repeated(self, items: list[Any]) -> bool:
        name = self._items or ""
        return bool(items) and any(items == seen.items(name) for seen in self.responses)

    def _check(self) -> None:
        self._update(likely=self.missing <= self._unresponsive, complete=self.expected is not None and not self.missing)


class PendingAcks(Pending):
    """The acks of all clients of a cluster to one broadcast.

    Complete when every server has reported how many clients it asked, and as many acks came; never if the number of
    servers is unknown. `keep`: see `Flags`.
    """

    def __init__(self, *, unresponsive: int = 0, keep: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self._keep = keep
        self._unresponsive = unresponsive
        self._servers: int | None = None
        self.servers_unknown = False
        """Whether Redis did not tell the number of servers."""
        self._servers_reported = 0
        self._clients = 0
        self.values: list[Any] = []

    @property
    def missing(self) -> int:
        """The number of servers that did not report how many clients they asked."""
        return max(0, (self._servers or 0) - self._servers_reported)

    @property
    def expected(self) -> int | None:
        """The number of clients asked; None while a server has not reported it."""
        return None if self._servers is None or self.missing else max(self._clients, len(self.values))

    def on_response(self, response: Response) -> None:
        if response.type == RequestType.BROADCAST_CLIENT_COUNT:
            self.add_client_count(response.client_count)
        elif response.type == RequestType.BROADCAST_ACK:
            self.add_ack(response.body.get("packet"))

    def add_client_count(self, clients: int) -> None:
        """A server asked so many clients."""
        self._servers_reported += 1
        self._clients += clients
        self._check()

    def add_ack(self, value: Any) -> None:
        """A client acknowledged with this value."""
        self.values.append(value if self._keep is None else self._keep(value))
        self._check()

    def remove_clients(self, clients: int) -> None:
        """So many of the clients that were asked have disconnected."""
        self._clients -= clients
        self._check()

    def expect_servers(self, servers: int | None) -> None:
        """So many servers will report, this one included; None if that is unknown."""
        self._servers, self.servers_unknown = servers, servers is None
        self._check()

    @property
    def answered(self) -> bool:
        """Whether all clients that were reported have answered."""
        return len(self.values) >= self._clients

    def _check(self) -> None:
        counted = self._servers is not None
        self._update(
            likely=self.answered and (self.servers_unknown or (counted and self.missing <= self._unresponsive)),
            complete=self.answered and counted and not self.missing,
        )
