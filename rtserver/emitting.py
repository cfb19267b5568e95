"""What the HTTP API needs of the Socket.IO server, as it asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtserver.errors import NotFound
from rtserver.sio.server import Server


class Emitting:
    """What the HTTP API needs of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def emit(
        self,
        namespace: str,
        event: str,
        args: Sequence[Any],
        rooms: Sequence[str],
        except_: Sequence[str],
        volatile: bool,
    ) -> None:
        if not self._server.knows(namespace):
            raise NotFound(f"There is no namespace {namespace}")
        operator = self._server.of(namespace).to(*rooms).except_(*except_)
        await (operator.volatile if volatile else operator).emit(event, *args)
