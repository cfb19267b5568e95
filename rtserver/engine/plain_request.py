"""The requests that a kept connection handles itself: read strictly, and anything doubtful is none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.engine.session import Session

MAX_BODY = 65536

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
# What changes how a request is framed or answered.
_LEFT_TO_AIOHTTP = frozenset({"transfer-encoding", "upgrade", "expect", "content-encoding", "trailer", "te"})
_ONCE = frozenset({"connection", "content-length", "host", "origin"})
_PLAIN_QUERY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~=&")


class Plain(NamedTuple):
    """A request that is handled here: its body is from `begin` to `end` of the bytes; `gzip` says what it accepts."""

    post: bool
    session: Session
    begin: int
    end: int
    gzip: bool


def read(engine: Engine, origin: str | None, head: bytes, begin: int) -> Plain | None:
    """The request with this head, if it is one that is handled without aiohttp; its body begins at `begin`."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    session = _session(engine, target)
    headers = _headers(lines)
    if version != "HTTP/1.1" or session is None or headers is None or headers.get("origin") != origin:
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 6 or "host" not in headers:
        return None
    size = int(length)
    if method == "GET" and size == 0:
        return Plain(False, session, begin, begin, "gzip" in headers.get("accept-encoding", ""))
    if method == "POST" and size <= min(MAX_BODY, engine.max_payload):
        return Plain(True, session, begin, begin + size, False) if _is_text(headers) else None
    return None


def _session(engine: Engine, target: str) -> Session | None:
    path, _, query = target.partition("?")
    if path != engine.path or not _PLAIN_QUERY.issuperset(query):
        return None
    pairs = [pair.split("=", 1) for pair in query.split("&")]
    asked = {pair[0]: pair[-1] for pair in pairs}
    if len(asked) != len(pairs) or asked.get("transport") != "polling" or asked.get("EIO") != "4" or "j" in asked:
        return None
    session = engine.sockets.get(asked.get("sid", ""))
    return session if session is not None and session.socket is None and session.revision == 4 else None


def _headers(lines: list[str]) -> dict[str, str] | None:
    """Names in lower case; None where something is not plain."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or not _TOKEN.issuperset(name) or name in _LEFT_TO_AIOHTTP:
            return None
        if (name in headers and name in _ONCE) or not value.isprintable():
            return None
        headers[name] = value.strip(" \t")
    return headers if headers.get("connection", "keep-alive").lower() == "keep-alive" else None


def _is_text(headers: dict[str, str]) -> bool:
    return not headers.get("content-type", "").startswith("application/octet-stream")
