"""What the doors for backends need of the Socket.IO server, as they ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtserver.cluster.partial import PartialList
from rtserver.errors import NotFound
from rtserver.sio.adapter import AckTimeout
from rtserver.sio.server import Server


class Emitting:
    """What the doors need of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def check(self, namespace: str) -> None:
        if not self._server.knows(namespace):
            raise NotFound(f"There is no namespace {namespace}")

    async def emit(
        self,
        namespace: str,
        event: str,
        args: Sequence[Any],
        rooms: Sequence[str],
        except_: Sequence[str],
        volatile: bool,
    ) -> None:
        self.check(namespace)
        operator = self._server.of(namespace).to(*rooms).except_(*except_)
        await (operator.volatile if volatile else operator).emit(event, *args)

    async def emit_with_ack(
        self,
        namespace: str,
        event: str,
        args: Sequence[Any],
        rooms: Sequence[str],
        except_: Sequence[str],
        timeout: float,
    ) -> tuple[list[Any], int | None]:
        """The answers that came in time, and how many clients were asked; None where a server did not tell."""
        self.check(namespace)
        operator = self._server.of(namespace).to(*rooms).except_(*except_).timeout(timeout)
        try:
            answers = await operator.emit_with_ack(event, *args)
        except AckTimeout as late:
            return late.responses, late.expected
        partial = isinstance(answers, PartialList) and answers.partial
        return answers, None if partial else len(answers)
