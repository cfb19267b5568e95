"""WSGI environ of a request, as python-socketio's handlers and `cors_allowed_origins` functions expect it.

python-engineio makes it; two of its values are corrected. It joins `Cookie` lines by commas, by which no cookie parser
separates them, and its `REMOTE_ADDR` is always 127.0.0.1.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from engineio.async_drivers.aiohttp import translate_request

from rtserver.protocol.addresses import normal_peer
from rtserver.protocol.header_lists import joined


def wsgi_environ(request: web.Request) -> dict[str, Any]:
    """Return the environ. `REMOTE_ADDR` is the peer: behind a proxy that is the proxy."""
    environ: dict[str, Any] = translate_request(request)
    if "HTTP_COOKIE" in environ:
        environ["HTTP_COOKIE"] = joined(request.headers, "Cookie")
    environ["REMOTE_ADDR"] = normal_peer(request.remote)
    return environ
