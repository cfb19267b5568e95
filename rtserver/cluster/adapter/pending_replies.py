"""Answers on their way from the other servers: who is waited for, and when that is over.

Pure counting; knows nothing of Redis. Source: WIRE §1.4, "Counting, timeouts, flows".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rtserver.protocol.adapter import RequestType, Response


class Pending:
    """Until everything has come; or until all but the silent have answered, and a grace after that."""

    def __init__(self) -> None:
        self._likely = asyncio.Event()
        self._complete = asyncio.Event()

    async def wait(self, seconds: float, grace: float | None = None) -> bool:
        """Whether everything came within `seconds`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds) as patience:
                await self._likely.wait()
                if grace is not None:
                    patience.reschedule(min(patience.when() or 0.0, loop.time() + grace))
                await self._complete.wait()
        except TimeoutError:
            return False
        return True

    def _note(self, *, likely: bool, complete: bool) -> None:
        if likely or complete:
            self._likely.set()
        if complete:
            self._complete.set()


class PendingReplies(Pending):
    """The responses to one request, complete when `expected` have come.

    `silent`: so many of them will likely not come. `items`: the name of the list that a response must hold; two servers
    never have the same sockets or rooms, so a second list that is equal is a repetition and counts once.
    """

    def __init__(self, expected: int, *, silent: int = 0, items: str | None = None) -> None:
        super().__init__()
        self.expected = expected
        self.partial = False
        self._silent = silent
        self._items = items
        self.responses: list[Response] = []
        self._check()

    @property
    def missing(self) -> int:
        return max(0, self.expected - len(self.responses))

    def take(self, response: Response) -> None:
        if self._items is not None and self._repeated(response.items(self._items)):
            return
        self.responses.append(response)
        self._check()

    def _repeated(self, items: list[Any]) -> bool:
        name = self._items or ""
        return bool(items) and any(items == seen.items(name) for seen in self.responses)

    def _check(self) -> None:
        self._note(likely=self.missing <= self._silent, complete=not self.missing)


class PendingAcks(Pending):
    """The acks of the clients of a whole cluster to one broadcast.

    Complete when every server has told how many clients it asked, and as many have answered. `keep`: see `Flags`.
    """

    def __init__(self, *, silent: int = 0, keep: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self._keep = keep
        self._silent = silent
        self._servers: int | None = None
        self._counted = 0
        self._clients = 0
        self.values: list[Any] = []

    @property
    def missing(self) -> int:
        """Servers that did not tell how many clients they asked."""
        return max(0, (self._servers or 0) - self._counted)

    @property
    def expected(self) -> int | None:
        """How many clients were asked, when all servers told."""
        return None if self._servers is None or self.missing else max(self._clients, len(self.values))

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
        self.values.append(value if self._keep is None else self._keep(value))
        self._check()

    def gone(self, clients: int) -> None:
        """So many of those counted will not answer any more."""
        self._clients -= clients
        self._check()

    def expect_servers(self, servers: int) -> None:
        self._servers = servers
        self._check()

    def _check(self) -> None:
        answered = self._servers is not None and len(self.values) >= self._clients
        self._note(
            likely=answered and self.missing <= self._silent,
            complete=answered and not self.missing,
        )
