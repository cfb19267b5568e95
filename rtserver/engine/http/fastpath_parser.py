"""Fast-path request parser: the requests that are answered without aiohttp, parsed strictly. No I/O.

There are two: a poll on a keep-alive connection (`read`) and the opening handshake of a WebSocket (`read_handshake`).
Rules:

1. Every doubtful request yields None and goes to aiohttp, which judges it: an unusual header or query, a duplicated
   header that matters, a body of unknown or large size.
2. So this parser never rejects a request, and never accepts one that aiohttp would read in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from multidict import CIMultiDict

from rtserver.engine.http.request import is_at, wants_websocket
from rtserver.protocol.accept_encoding import accepts_gzip

if TYPE_CHECKING:
    import asyncio

MAX_BODY = 65536
MAX_HEAD = 16384
"""Bytes of a request line and its headers; Node's limit."""
HEAD_END = b"\r\n\r\n"

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
# These change how a request is framed or answered.
_LEFT_TO_AIOHTTP = frozenset({"transfer-encoding", "expect", "content-encoding", "trailer", "te"})
_ONCE = frozenset({"content-length", "content-type", "host", "origin"})
# Of a poll, the first line is read, so those that are lists must be one line.
_ONCE_IN_POLLS = _ONCE | {"accept-encoding", "connection", "upgrade"}
_PLAIN_QUERY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~=&")


class FastRequest(NamedTuple):
    """A GET or POST of the session `sid`. Its body is `data[begin:end]`; `gzip`: the client accepts it.

    `cookies`: its first line of them.
    """

    post: bool
    sid: str
    begin: int
    end: int
    gzip: bool
    cookies: str


class FastHandshakeRequest:
    """The opening handshake of a WebSocket; a `HandshakeRequest`."""

    method = "GET"
    __slots__ = ("headers", "path_qs", "query", "transport")

    def __init__(
        self, headers: CIMultiDict[str], path_qs: str, query: dict[str, str], transport: asyncio.Transport
    ) -> None:
        self.headers = headers
        self.path_qs = path_qs
        self.query = query
        self.transport = transport

    @property
    def secure(self) -> bool:
        return self.transport.get_extra_info("sslcontext") is not None

    @property
    def scheme(self) -> str:
        return "https" if self.secure else "http"

    @property
    def host(self) -> str:
        return self.headers["Host"]

    @property
    def remote(self) -> str | None:
        peer: Any = self.transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else None if peer is None else str(peer)


def read_handshake(path: str, head: bytes, transport: asyncio.Transport) -> FastHandshakeRequest | None:
    """Return the request with this head, if it opens a session of revision 4 over a WebSocket at `path`."""
    if not head.isascii():
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    target_path, _, query_string = target.partition("?")
    if method != "GET" or version != "HTTP/1.1" or not is_at(path, target_path):
        return None
    query = _parse_query(query_string)
    if query is None or query.get("transport") != "websocket" or query.get("EIO") != "4":
        return None
    headers: CIMultiDict[str] = CIMultiDict()
    if (
        not _parse_headers(lines, headers, headers.add, _ONCE)
        or "sid" in query
        or "host" not in headers
        or "content-length" in headers
    ):
        return None
    request = FastHandshakeRequest(headers, target, query, transport)
    return request if wants_websocket(request) else None


def read(path: str, max_body: int, page: tuple[str, str] | None, head: bytes, begin: int) -> FastRequest | None:
    """Return the request with this head, if it is a plain GET or POST of a revision 4 polling session at `path`.

    `page`: what its `Origin` and `Host` must be, as the one is checked by the other; None: it must have no `Origin`.
    `max_body`: bytes. `begin`: where its body begins.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    sid = _polled_session(path, target)
    # A dict is enough here, and faster; of a repeated header the first one counts.
    headers: dict[str, str] = {}
    if version != "HTTP/1.1" or sid is None or not _parse_headers(lines, headers, headers.setdefault, _ONCE_IN_POLLS):
        return None
    origin, host = headers.get("origin"), headers.get("host")
    if host is None or ((origin is not None or page is not None) and (origin, host) != page):
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive" or "upgrade" in headers:
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 6:
        return None
    size, cookies = int(length), headers.get("cookie", "")
    if method == "GET" and size == 0:
        return FastRequest(False, sid, begin, begin, accepts_gzip(headers.get("accept-encoding", "")), cookies)
    if method == "POST" and size <= max_body:
        return FastRequest(True, sid, begin, begin + size, False, cookies) if _is_text(headers) else None
    return None


def _polled_session(path: str, target: str) -> str | None:
    target_path, _, query_string = target.partition("?")
    # As in `is_at`, without a call for each poll.
    query = _parse_query(query_string) if target_path == path or target_path + "/" == path else None
    if query is None or query.get("transport") != "polling" or query.get("EIO") != "4" or "j" in query:
        return None
    return query.get("sid")


def _parse_query(query_string: str) -> dict[str, str] | None:
    """None for one that needs decoding, or has a key twice."""
    if not _PLAIN_QUERY.issuperset(query_string):
        return None
    pairs = [pair.split("=", 1) for pair in query_string.split("&")]
    query = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return query if len(query) == len(pairs) else None


def _parse_headers(
    lines: list[str], headers: Container[str], add: Callable[[str, str], object], once: frozenset[str]
) -> bool:
    """Add each header to `headers`, named in lower case; False where one is not plain, or is of `once` and repeated."""
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or not _TOKEN.issuperset(name) or name in _LEFT_TO_AIOHTTP:
            return False
        if (name in once and name in headers) or not value.isprintable():
            return False
        add(name, value.strip(" \t"))
    return True


def _is_text(headers: Mapping[str, str]) -> bool:
    return not headers.get("content-type", "").startswith("application/octet-stream")
