"""WebSocket opening handshake: the check of its headers and the 101 response (RFC 6455, section 4.2). No I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from rtserver.engine.http.request import HandshakeRequest
from rtserver.engine.http.responses import BAD_REQUEST, Refusal

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(request: HandshakeRequest) -> bytes:
    """Return the value of `Sec-WebSocket-Accept`; raises `Refusal` for an invalid handshake (4.2.1)."""
    headers = request.headers
    key = headers.get("Sec-WebSocket-Key", "").strip()
    connection = (option.strip().lower() for option in headers.get("Connection", "").split(","))
    if request.method != "GET" or "upgrade" not in connection or headers.get("Sec-WebSocket-Version") != "13":
        raise Refusal(BAD_REQUEST)
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise Refusal(BAD_REQUEST)
    except (binascii.Error, ValueError):
        raise Refusal(BAD_REQUEST) from None
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest())


def switching_protocols(accept: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of the 101 response: `accept` is from `accept_key`, `headers` are added."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + more + b"\r\n"
    )
