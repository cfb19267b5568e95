"""WebSocket opening handshake: the check of its headers and the 101 response (RFC 6455, section 4.2). No I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping

from rtserver.engine.http.request import HandshakeRequest
from rtserver.engine.http.responses import BAD_REQUEST, Refusal
from rtserver.protocol.header_lists import joined, tokens

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = "13"
SUBPROTOCOL = "Sec-WebSocket-Protocol"

HandleProtocols = Callable[[list[str], HandshakeRequest], str | None]
"""Chooses one of the subprotocols that a client offers, in its order; None: the answer names none."""

_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII).fullmatch


def accept_key(request: HandshakeRequest) -> bytes:
    """Return the value of `Sec-WebSocket-Accept`; raises `Refusal` for an invalid handshake (4.2.1)."""
    headers = request.headers
    key = joined(headers, "Sec-WebSocket-Key").strip()
    if request.method != "GET" or "upgrade" not in tokens(headers, "Connection"):
        raise Refusal(BAD_REQUEST)
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise Refusal(BAD_REQUEST)
    except (binascii.Error, ValueError):
        raise Refusal(BAD_REQUEST) from None
    if joined(headers, "Sec-WebSocket-Version").strip() != VERSION:
        # The client may try again with this one (4.4).
        message = "Missing or invalid Sec-WebSocket-Version header"
        raise Refusal(BAD_REQUEST, message, {"Sec-WebSocket-Version": VERSION})
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest())


def chosen_subprotocol(request: HandshakeRequest, choose: HandleProtocols | None) -> str | None:
    """Return the subprotocol to answer with: the one that `choose` returns, or the first that is offered, as in Node.

    A client that offers some and is answered with none, or with another one, closes the connection (4.1). Raises
    `Refusal` for a malformed offer, `ValueError` where `choose` returns what was not offered.
    """
    if SUBPROTOCOL not in request.headers:
        return None
    offered = [name.strip(" \t") for name in joined(request.headers, SUBPROTOCOL).split(",")]
    if len(set(offered)) != len(offered) or not all(map(_is_token, offered)):
        raise Refusal(BAD_REQUEST, f"Invalid {SUBPROTOCOL} header")
    if choose is None:
        return offered[0]
    chosen = choose(offered, request)
    if chosen and chosen not in offered:
        raise ValueError(f"handle_protocols returned {chosen!r}, which the client does not offer")
    return chosen or None


def switching_protocols(accept: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of the 101 response: `accept` is from `accept_key`, `headers` are added."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + more + b"\r\n"
    )
