"""WebSocket with permessage-deflate, where the engine allows it and the client offers it.

Messages to such a socket go through `push`, which finds the recipients that can share a compressed frame. All other
sockets are written to as if there were no compression.
"""

from __future__ import annotations

from functools import cache

from aiohttp._websocket.helpers import websocket_mask

from rtserver.engine.http.request import HandshakeRequest
from rtserver.engine.http.responses import BAD_REQUEST, Refusal
from rtserver.engine.session.state import EngineState
from rtserver.engine.transports.websocket import WebSocket
from rtserver.protocol.header_lists import joined
from rtserver.protocol.permessage_deflate import Deflate, HeaderError, InflatingReader, negotiate

EXTENSIONS = "Sec-WebSocket-Extensions"

_deflate = cache(Deflate)
"""Shared by all connections with the same parameters, of which there are few."""


class CompressedWebSocket(WebSocket):
    """A WebSocket whose messages are compressed in both directions."""

    __slots__ = ("_deflate",)

    def __init__(self, engine: EngineState, deflate: Deflate) -> None:
        super().__init__(engine)
        self._reader = InflatingReader(engine.max_payload, websocket_mask)
        self._deflate = deflate

    def enable_direct_writes(self) -> None:
        """Has no effect: everything goes through `push`."""


def new_websocket(engine: EngineState, request: HandshakeRequest, headers: dict[str, str]) -> WebSocket:
    """Return the socket for a handshake; the agreed extension is added to `headers`, those of the response.

    Raises `Refusal` for a malformed header, as Node does. An offer that cannot be met is ignored.
    """
    if not engine.options.per_message_deflate or EXTENSIONS not in request.headers:
        return WebSocket(engine)
    try:
        agreed = negotiate(joined(request.headers, EXTENSIONS))
    except HeaderError:
        raise Refusal(BAD_REQUEST, "Invalid or unacceptable Sec-WebSocket-Extensions header") from None
    if agreed is None:
        return WebSocket(engine)
    window_bits, headers[EXTENSIONS] = agreed
    return CompressedWebSocket(engine, _deflate(engine.options.compression_threshold, window_bits))
