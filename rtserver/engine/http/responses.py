"""HTTP responses of Engine.IO: the statuses and bodies of Node's server, which clients and their tests rely on.

One is an addition: a stopping server refuses handshakes with 503, so that proxies try another server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
    """The request is refused with one of the codes above.

    `message` replaces the standard text of the code; `headers` are those of the response.
    """

    def __init__(self, code: int, message: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message or MESSAGES[code])
        self.code = code
        self.message = message or MESSAGES[code]
        self.headers = headers


def refused(refusal: Refusal) -> Answer:
    """400, 403 or 503 with `{"code", "message"}`."""
    body = json.dumps({"code": refusal.code, "message": refusal.message})
    status = _STATUSES.get(refusal.code, 400)
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json"})


def refused_upgrade(refusal: Refusal) -> Answer:
    """The response to a WebSocket handshake, after which the connection is closed, as in Node."""
    status = 503 if refusal.code == STOPPING else 400
    answer = web.Response(text=refusal.message, status=status, content_type="text/html", headers=refusal.headers)
    answer.force_close()
    return answer


def bad_request() -> Answer:
    """400 with the JSON body of code 3."""
    return refused(Refusal(BAD_REQUEST))


def payload(body: bytes, binary: bool = False) -> Answer:
    """200 with packets; `binary`: in the octet-stream encoding of revision 3."""
    return web.Response(body=body, headers=_OCTETS if binary else _TEXT)


def jsonp(index: str, text: str) -> Answer:
    """200 with a call of the client's callback `___eio[index]`; only the digits of `index` are repeated."""
    script = json.dumps(text).decode().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("<", "\\u003c")
    body = f"___eio[{re.sub('[^0-9]', '', index)[:10]}]({script});"
    return web.Response(body=body.encode(), headers=_SCRIPT)


def posted() -> Answer:
    """200, "ok": the packets of a POST were received."""
    return web.Response(body=b"ok", headers={"Content-Type": "text/html", "Cache-Control": "no-store"})


def empty(status: int) -> Answer:
    """A response without a body."""
    return web.Response(status=status)


def too_large() -> Answer:
    """413: the payload is beyond the limit."""
    return web.Response(status=413)
