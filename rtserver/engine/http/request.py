"""Handshake request: what the engine and the layer above read of the HTTP request that opens a session.

Both aiohttp's `web.Request` and the fast path's `FastHandshakeRequest` have this shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from multidict import MultiMapping

from rtserver.protocol.header_lists import tokens


class HandshakeRequest(Protocol):
    """Read by the handshake, the origin check and, above the engine, for the client's `handshake`."""

    @property
    def method(self) -> str: ...

    @property
    def headers(self) -> MultiMapping[str]: ...

    @property
    def query(self) -> Mapping[str, str]: ...

    @property
    def path_qs(self) -> str: ...

    @property
    def host(self) -> str: ...

    @property
    def scheme(self) -> str: ...

    @property
    def secure(self) -> bool: ...

    @property
    def remote(self) -> str | None: ...

    @property
    def transport(self) -> asyncio.BaseTransport | None: ...


def is_at(path: str, target: str) -> bool:
    """Whether a request's path is `path`, which ends with a slash; clients may leave out the slash."""
    return target == path or (target + "/" == path)


def port_of(request: HandshakeRequest) -> int | None:
    """Return the port of this server that the request came to; None for a Unix socket."""
    name = None if request.transport is None else request.transport.get_extra_info("sockname")
    return name[1] if isinstance(name, tuple) else None


def revision_of(request: HandshakeRequest) -> int:
    """Return the protocol revision of the client: 4, or 3 for every other `EIO`, as Node does."""
    return 4 if request.query.get("EIO") == "4" else 3


def wants_websocket(request: HandshakeRequest) -> bool:
    """Whether the request asks for a WebSocket by its `Upgrade` header."""
    return "websocket" in tokens(request.headers, "Upgrade")
