"""Emit service: broadcasts of backends, through the Socket.IO server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rtserver.cluster.partial_results import PartialList
from rtserver.errors import NotFound
from rtserver.ingest.commands import EmitTarget
from rtserver.protocol import json
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.server import Server

ANSWERS_BYTES: Final = 32 * 1024 * 1024
_LEFT_OUT: Final = object()


class AckBudget:
    """Bounds the acks that are kept of one broadcast to about `ANSWERS_BYTES` of memory."""

    def __init__(self) -> None:
        self._left = ANSWERS_BYTES

    def keep(self, answer: Any) -> Any:
        """Return the ack, or a mark in its place when there is no room left or JSON cannot express it."""
        try:
            size = _memory(answer)
        except TypeError:  # bytes, which an HTTP response in JSON could not contain either
            return _LEFT_OUT
        if size > self._left:
            return _LEFT_OUT
        self._left -= size
        return answer


def _memory(answer: Any) -> int:
    """Estimate the bytes of memory: two bytes of JSON, such as `[]`, may take sixty."""
    text = json.dumps(answer)
    return len(text) + 64 * (text.count(b"[") + text.count(b"{") + text.count(b","))


class EmitService:
    """Emits for backends: the `EventEmitter` of ingest and the `AckEmitter` of the HTTP API."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def check(self, namespace: str) -> None:
        """Raise `NotFound` for a namespace that the server does not have."""
        if not self._server.has_namespace(namespace):
            raise NotFound(f"There is no namespace {namespace}")

    async def emit(self, target: EmitTarget, event: str, args: Sequence[Any], volatile: bool) -> None:
        """Broadcast an event, cluster-wide; raises `NotFound`."""
        operator = self._operator(target)
        await (operator.volatile if volatile else operator).emit(event, *args)

    async def emit_with_ack(
        self, target: EmitTarget, event: str, args: Sequence[Any], timeout: float
    ) -> tuple[list[Any], int | None]:
        """Broadcast an event and wait up to `timeout` seconds for the acks.

        Returns the first argument of each ack, as many as there is room for; and the number of clients asked, None
        where a server did not report it. Raises `NotFound`.
        """
        operator = self._operator(target).timeout(timeout).keep(AckBudget().keep)
        try:
            answers = await operator.emit_with_ack(event, *args)
        except AckTimeout as late:
            return _kept(late.responses), late.expected
        partial = isinstance(answers, PartialList) and answers.partial
        return _kept(answers), None if partial else len(answers)

    def _operator(self, target: EmitTarget) -> Operator:
        self.check(target.namespace)
        return self._server.of(target.namespace).to(*target.rooms).except_(*target.except_)


def _kept(answers: list[Any]) -> list[Any]:
    return [answer for answer in answers if answer is not _LEFT_OUT]
