"""Engine options: the limits and features of an `Engine`, fixed at its construction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from rtserver.engine.http.websocket_handshake import HandleProtocols

AllowRequest = Callable[[web.Request], Awaitable[bool | str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The names are those of python-engineio and of Node's `engine.io`, where these have the option."""

    ping_interval: float
    """Seconds between pings."""
    ping_timeout: float
    """Seconds that the client has for its pong."""
    max_payload: int
    """Bytes of a message or a POST; beyond it the session is closed."""
    max_packets: int
    """Packets of one POST."""
    outbox_limit: int
    """Bytes that may wait for a client that takes nothing; see `rtserver.engine.session.backpressure`."""
    outbox_total: int
    """Bytes that may wait for all clients together; beyond it the slowest are closed."""
    transports: Sequence[str]
    """Of "polling" and "websocket"."""
    allow_upgrades: bool
    allow_eio3: bool
    """Accept revision 3 of the protocol, for Socket.IO v2 clients."""
    allow_request: AllowRequest | None
    """Called with each handshake; it refuses by returning False or an error text."""
    handle_protocols: HandleProtocols | None
    """Chooses the WebSocket subprotocol; None: the first that the client offers."""
    cookie: str | Mapping[str, Any] | None
    """The cookie set at the handshake, see `rtserver.engine.handshake.cookie_header`."""
    identity_cookie: str | None
    """The cookie by which visitors are identified, see `rtserver.engine.http.cookie_binding`."""
    http_compression: bool
    per_message_deflate: bool
    """Compress WebSocket messages of clients that offer it."""
    compression_threshold: int
    """Bytes from which a response or message is compressed."""
    keep_connections: bool
    """Use the fast paths also if the application has middlewares or signals, which then miss those requests."""
