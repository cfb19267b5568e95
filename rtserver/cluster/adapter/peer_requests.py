"""Peer requests: sent to all other servers of a namespace; waits for their responses, but not in vain."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from rtserver.cluster.adapter.link import Link
from rtserver.cluster.adapter.pending_replies import PendingReplies
from rtserver.protocol.adapter import RequestType
from rtserver.reconnect import Episodes

log = structlog.get_logger("rtserver.cluster")

QUIET = 60.0
"""Seconds without a partial answer after which one is logged again: during an outage all of them are."""


class PeerRequests:
    """`timeout`: seconds for requests that every server responds to at once."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._partial = Episodes(QUIET)
        self._probes: dict[Link, asyncio.Task[Any]] = {}

    async def stop(self) -> None:
        """Cancel the probes."""
        for probe in list(self._probes.values()):
            probe.cancel()

    async def request(self, link: Link, kind: RequestType, *, items: str, **fields: Any) -> PendingReplies:
        """Send a request to which each server responds with a list named `items`; return the responses."""
        replies, request_id = await self._send(link, kind, self._timeout, items=items, **fields)
        if request_id is not None and replies.expected is not None:
            link.missed(replies.missing, request_id)
        return replies

    async def call_handlers(self, link: Link, args: list[Any], seconds: float) -> PendingReplies:
        """Call the handler of a server-side event on each server; return the responses that came within `seconds`.

        A handler may take its time, so an unknown number of servers gets all of it, not the grace.
        """
        replies, _ = await self._send(link, RequestType.SERVER_SIDE_EMIT, seconds, quick=False, data=args)
        if replies.missing:
            self._probe(link)
        return replies

    async def _send(
        self,
        link: Link,
        kind: RequestType,
        seconds: float,
        *,
        items: str | None = None,
        quick: bool = True,
        **fields: Any,
    ) -> tuple[PendingReplies, str | None]:
        """Return the responses, and the id of the request, None if there was no other server.

        `quick`: every server responds at once.
        """
        servers = await link.count_servers() if link.ready else 1
        expected = None if servers is None else servers - 1
        replies = PendingReplies(expected, unresponsive=link.unresponsive.count, items=items)
        if expected == 0:
            replies.partial = not link.ready
            return replies, None
        grace = link.unresponsive.grace if quick or expected is not None else None
        with link.expecting(replies) as request_id:
            link.request(kind, request_id=request_id, **fields)
            replies.partial = not await replies.wait(seconds, grace)
        if replies.partial and self._partial.is_news("" if expected is None else kind.name):
            answered = len(replies.responses)
            log.warning("cluster_answer_partial", request=kind.name, answered=answered, expected=expected)
        return replies, request_id

    def _probe(self, link: Link) -> None:
        """Find out whether the servers that did not respond are unresponsive, or only have a slow handler or none."""
        if link not in self._probes:
            no_socket = {"rooms": [link.uid], "except": []}
            request = self.request(link, RequestType.REMOTE_FETCH, items="sockets", opts=no_socket)
            self._probes[link] = probe = asyncio.create_task(request)
            probe.add_done_callback(lambda _: self._probes.pop(link, None))
