"""What the doors for backends need of the Socket.IO server, as they ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rtserver.cluster.partial_results import PartialList
from rtserver.errors import NotFound
from rtserver.protocol import json
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.server import Server

ANSWERS_BYTES: Final = 32 * 1024 * 1024
_LEFT_OUT: Final = object()


class Answers:
    """What is kept of clients' answers: about `ANSWERS_BYTES` of memory in all."""

    def __init__(self) -> None:
        self._left = ANSWERS_BYTES

    def keep(self, answer: Any) -> Any:
        try:
            size = _memory(answer)
        except TypeError:  # bytes, which a backend could not be told either
            return _LEFT_OUT
        if size > self._left:
            return _LEFT_OUT
        self._left -= size
        return answer


def _memory(answer: Any) -> int:
    """About the bytes of memory: two bytes of JSON, such as `[]`, may take sixty."""
    text = json.dumps(answer)
    return len(text) + 64 * (text.count(b"[") + text.count(b"{") + text.count(b","))


class EmitService:
    """What the doors need of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def check(self, namespace: str) -> None:
        if not self._server.has_namespace(namespace):
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
        """The answers that came in time, as far as there is room for them, and how many clients were asked: None where
        a server did not tell."""
        self.check(namespace)
        operator = self._server.of(namespace).to(*rooms).except_(*except_).timeout(timeout).keep(Answers().keep)
        try:
            answers = await operator.emit_with_ack(event, *args)
        except AckTimeout as late:
            return _kept(late.responses), late.expected
        partial = isinstance(answers, PartialList) and answers.partial
        return _kept(answers), None if partial else len(answers)


def _kept(answers: list[Any]) -> list[Any]:
    return [answer for answer in answers if answer is not _LEFT_OUT]
