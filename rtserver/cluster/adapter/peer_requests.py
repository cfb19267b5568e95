"""Asking all other servers of a namespace, and waiting for their answers: no longer than makes sense."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from rtserver.cluster.adapter.link import Link
from rtserver.cluster.adapter.pending_replies import PendingReplies
from rtserver.protocol.adapter import RequestType

log = structlog.get_logger("rtserver.cluster")


class PeerRequests:
    """`timeout`: seconds for requests that every server answers at once."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._probes: dict[Link, asyncio.Task[Any]] = {}

    async def stop(self) -> None:
        for probe in list(self._probes.values()):
            probe.cancel()

    async def ask(self, link: Link, kind: RequestType, *, items: str, **fields: Any) -> PendingReplies:
        """Each server answers with a list of `items`."""
        replies, request_id = await self._ask(link, kind, self._timeout, items=items, **fields)
        if request_id is not None:
            link.missed(replies.missing, request_id)
        return replies

    async def ask_handlers(self, link: Link, args: list[Any], seconds: float) -> PendingReplies:
        """A handler on each server answers whatever it likes, whenever it likes."""
        replies, _ = await self._ask(link, RequestType.SERVER_SIDE_EMIT, seconds, data=args)
        if replies.missing:
            self._probe(link)
        return replies

    async def _ask(
        self, link: Link, kind: RequestType, seconds: float, *, items: str | None = None, **fields: Any
    ) -> tuple[PendingReplies, str | None]:
        """The replies, and the id of the request unless there was nobody to ask."""
        expected = await link.servers() - 1 if link.ready else 0
        replies = PendingReplies(max(0, expected), silent=link.silence.count, items=items)
        if expected <= 0:
            replies.partial = not link.ready
            return replies, None
        with link.expecting(replies) as request_id:
            link.request(kind, request_id=request_id, **fields)
            replies.partial = not await replies.wait(seconds, link.silence.grace)
        if replies.partial:
            answered = len(replies.responses)
            log.warning("cluster_answer_partial", request=kind.name, answered=answered, expected=expected)
        return replies, request_id

    def _probe(self, link: Link) -> None:
        """A slow or missing handler tells nothing about its server: ask what every server answers at once."""
        if link not in self._probes:
            nobody = {"rooms": [link.uid], "except": []}
            asking = self.ask(link, RequestType.REMOTE_FETCH, items="sockets", opts=nobody)
            self._probes[link] = probe = asyncio.create_task(asking)
            probe.add_done_callback(lambda _: self._probes.pop(link, None))
