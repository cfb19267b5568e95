"""The requests that are handled without aiohttp: read strictly, and anything doubtful is none of them.

They are the polls of kept connections, and the opening handshake of a WebSocket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from multidict import CIMultiDict

from rtserver.protocol.accept_encoding import accepts_gzip

if TYPE_CHECKING:
    import asyncio

    from rtserver.engine.server import Engine
    from rtserver.engine.session.session import Session

MAX_BODY = 65536
MAX_HEAD = 8192
HEAD_END = b"\r\n\r\n"

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
# What changes how a request is framed or answered.
_LEFT_TO_AIOHTTP = frozenset({"transfer-encoding", "expect", "content-encoding", "trailer", "te"})
_ONCE = frozenset({"connection", "content-length", "host", "origin", "upgrade"})
_PLAIN_QUERY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~=&")


class FastRequest(NamedTuple):
    """A request that is handled here: its body is from `begin` to `end` of the bytes; `gzip` says what it accepts."""

    post: bool
    session: Session
    begin: int
    end: int
    gzip: bool


class FastHandshakeRequest:
    """An opening handshake, with what the engine and the layer above read of aiohttp's request."""

    method = "GET"
    __slots__ = ("_transport", "headers", "path_qs", "query")

    def __init__(
        self, headers: CIMultiDict[str], path_qs: str, query: dict[str, str], transport: asyncio.Transport
    ) -> None:
        self.headers = headers
        self.path_qs = path_qs
        self.query = query
        self._transport = transport

    @property
    def secure(self) -> bool:
        return self._transport.get_extra_info("sslcontext") is not None

    @property
    def scheme(self) -> str:
        return "https" if self.secure else "http"

    @property
    def host(self) -> str:
        return self.headers["Host"]

    @property
    def remote(self) -> str | None:
        peer: Any = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else str(peer) if peer else None


def read_handshake(path: str, head: bytes, transport: asyncio.Transport) -> FastHandshakeRequest | None:
    """The request with this head, if it opens a session of revision 4 over a WebSocket."""
    if not head.isascii():
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    asked_path, _, query = target.partition("?")
    if method != "GET" or version != "HTTP/1.1" or asked_path != path:
        return None
    asked = _query(query)
    if asked is None or asked.get("transport") != "websocket" or asked.get("EIO") != "4":
        return None
    headers = _headers(lines)
    if headers is None or "sid" in asked or "host" not in headers or "content-length" in headers:
        return None
    if headers.get("upgrade", "").lower() != "websocket":
        return None
    return FastHandshakeRequest(headers, target, asked, transport)


def read(engine: Engine, origin: str | None, head: bytes, begin: int) -> FastRequest | None:
    """The request with this head, if it is one that is handled without aiohttp; its body begins at `begin`."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    session = _session(engine, target)
    headers = _headers(lines)
    if version != "HTTP/1.1" or session is None or headers is None or headers.get("origin") != origin:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive" or "upgrade" in headers:
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 6 or "host" not in headers:
        return None
    size = int(length)
    if method == "GET" and size == 0:
        return FastRequest(False, session, begin, begin, accepts_gzip(headers.get("accept-encoding", "")))
    if method == "POST" and size <= min(MAX_BODY, engine.max_payload):
        return FastRequest(True, session, begin, begin + size, False) if _is_text(headers) else None
    return None


def _session(engine: Engine, target: str) -> Session | None:
    path, _, query = target.partition("?")
    asked = _query(query) if path == engine.path else None
    if asked is None or asked.get("transport") != "polling" or asked.get("EIO") != "4" or "j" in asked:
        return None
    session = engine.sockets.get(asked.get("sid", ""))
    return session if session is not None and session.socket is None and session.revision == 4 else None


def _query(query: str) -> dict[str, str] | None:
    """None for one that would have to be decoded, or names something twice."""
    if not _PLAIN_QUERY.issuperset(query):
        return None
    pairs = [pair.split("=", 1) for pair in query.split("&")]
    asked = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return asked if len(asked) == len(pairs) else None


def _headers(lines: list[str]) -> CIMultiDict[str] | None:
    """None where something is not plain."""
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or not _TOKEN.issuperset(name) or name in _LEFT_TO_AIOHTTP:
            return None
        if (name in _ONCE and name in headers) or not value.isprintable():
            return None
        headers.add(name, value.strip(" \t"))
    return headers


def _is_text(headers: CIMultiDict[str]) -> bool:
    return not headers.get("content-type", "").startswith("application/octet-stream")
