"""The HTTP answers of Engine.IO: the statuses and bodies that Node gives, which clients and their tests know.

One is ours: a server that is about to stop refuses handshakes with 503, at which proxies ask another one.
"""

from __future__ import annotations

import re

from aiohttp import web

from rtserver.protocol import json

Answer = web.StreamResponse

TRANSPORT_UNKNOWN, SESSION_UNKNOWN, BAD_METHOD, BAD_REQUEST, FORBIDDEN, BAD_VERSION, STOPPING = range(7)
MESSAGES = (
    "Transport unknown",
    "Session ID unknown",
    "Bad handshake method",
    "Bad request",
    "Forbidden",
    "Unsupported protocol version",
    "Server is stopping",
)
_STATUSES = {FORBIDDEN: 403, STOPPING: 503}
_TEXT = {"Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store"}
_OCTETS = {"Content-Type": "application/octet-stream", "Cache-Control": "no-store"}
_SCRIPT = {
    "Content-Type": "text/javascript; charset=UTF-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
}  # fmt: skip


class Refusal(Exception):
    """The request is refused with one of the codes above; `message` says more than its usual text."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(message or MESSAGES[code])
        self.code = code
        self.message = message or MESSAGES[code]


def refused(refusal: Refusal) -> Answer:
    body = json.dumps({"code": refusal.code, "message": refusal.message})
    status = _STATUSES.get(refusal.code, 400)
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json"})


def refused_upgrade(refusal: Refusal) -> Answer:
    """The same for a WebSocket handshake, after which Node closes the connection."""
    status = 503 if refusal.code == STOPPING else 400
    answer = web.Response(text=refusal.message, status=status, content_type="text/html")
    answer.force_close()
    return answer


def bad_request() -> Answer:
    return refused(Refusal(BAD_REQUEST))


def payload(body: bytes, binary: bool = False) -> Answer:
    return web.Response(body=body, headers=_OCTETS if binary else _TEXT)


def jsonp(index: str, text: str) -> Answer:
    """A call of the function that the client waits with; only digits of what it sent are repeated."""
    script = json.dumps(text).decode().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("<", "\\u003c")
    body = f"___eio[{re.sub('[^0-9]', '', index)[:10]}]({script});"
    return web.Response(body=body.encode(), headers=_SCRIPT)


def posted() -> Answer:
    return web.Response(body=b"ok", headers={"Content-Type": "text/html", "Cache-Control": "no-store"})


def empty(status: int) -> Answer:
    return web.Response(status=status)


def too_large() -> Answer:
    return web.Response(status=413)
