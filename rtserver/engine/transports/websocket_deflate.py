"""WebSockets with permessage-deflate, where the engine allows and the client offers it.

Such a socket gets everything by `push`, which finds out who shares a compressed frame with whom; all other sockets are
written to as if there were no compression.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from aiohttp._websocket.helpers import websocket_mask

from rtserver.engine.http.responses import BAD_REQUEST, Refusal
from rtserver.engine.session.interfaces import HandshakeRequest
from rtserver.engine.transports.websocket import WebSocket
from rtserver.protocol.permessage_deflate import Deflate, HeaderError, InflatingReader, negotiate

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

EXTENSIONS = "Sec-WebSocket-Extensions"

_deflate = cache(Deflate)
"""One for all connections with the same, of which there are few kinds."""


class CompressedWebSocket(WebSocket):
    __slots__ = ("_deflate",)

    def __init__(self, engine: Engine, deflate: Deflate) -> None:
        super().__init__(engine)
        self._reader = InflatingReader(engine.max_payload, websocket_mask)
        self._deflate = deflate

    def _let_through(self) -> None:
        """Nothing is written past `push`."""


def new_socket(engine: Engine, request: HandshakeRequest, headers: dict[str, str]) -> WebSocket:
    """The socket for a handshake; what was agreed on goes into the headers of the answer.

    Raises `Refusal` for a header that is none, as Node does. An offer that cannot be met is not taken, no more.
    """
    if not engine.per_message_deflate or EXTENSIONS not in request.headers:
        return WebSocket(engine)
    try:
        agreed = negotiate(", ".join(request.headers.getall(EXTENSIONS)))
    except HeaderError:
        raise Refusal(BAD_REQUEST, "Invalid or unacceptable Sec-WebSocket-Extensions header") from None
    if agreed is None:
        return WebSocket(engine)
    window_bits, headers[EXTENSIONS] = agreed
    return CompressedWebSocket(engine, _deflate(engine.compression_threshold, window_bits))
