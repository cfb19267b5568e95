"""Error boundary of HTTP: the only place where an exception becomes a response.

Owns the shape `{"ok": false, "error": {"code", "message", "details"?}}` and its status; must not know what the
handlers do.

1. `EventError` and `Refused` are meant for the caller: they are returned as they are, on every path.
2. aiohttp's own exceptions (404, 405, 413 …) get that shape under `/api`; on other paths they are left alone.
3. Any other exception is a fault of the server: logged with its traceback, returned as `internal` and nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from rtserver.errors import EventError, Internal, RateLimited, Refused, Unavailable
from rtserver.protocol import json

_log = structlog.get_logger("rtserver.http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API_PREFIX = "/api/"
UNAVAILABLE_RETRY_SECONDS = 2

_CODES = {
    400: "invalid_payload",
    401: "token_missing",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
    504: "timeout",
}
_ADVICE = {415: "This Content-Type is not accepted here; JSON needs application/json"}
_REFUSALS = {"forbidden": 403, "rate_limited": 429, "unavailable": 503}
_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")


@web.middleware
async def error_boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return a response for every exception of `handler`; install it as the outermost middleware."""
    try:
        return await handler(request)
    except EventError as error:
        return event_error(error)
    except Refused as refusal:
        return refused(refusal)
    except web.HTTPException as exception:
        if not _is_api(request) or exception.status < 400:
            raise
        return http_exception(exception)
    except ConnectionError:
        if request.transport is not None:
            raise
        return web.Response(
            status=400
        )  # The client closed the connection while it sent its body, and will not read this.
    except Exception:
        _log.exception("request_failed", method=request.method, path=request.path)
        if request.writer.output_size > 0:
            raise  # Part of the response was sent: only closing the connection is left.
        return event_error(Internal())


def event_error(error: EventError) -> web.Response:
    """Return the response for an error raised on purpose, with Retry-After (seconds) where a retry makes sense."""
    headers = {}
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = str(UNAVAILABLE_RETRY_SECONDS)
    return json_response(error.ack(), error.http_status, headers)


def refused(refusal: Refused) -> web.Response:
    """Return the response for a refused caller: 401 where the token is at fault, else a status by the code."""
    data = dict(refusal.data)
    code = data.pop("code", "refused")
    status = 401 if str(code).startswith("token_") else _REFUSALS.get(code, 403)
    error: dict[str, Any] = {"code": code, "message": refusal.message}
    if data:
        error["details"] = data
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return json_response({"ok": False, "error": error}, status, headers)


def http_exception(exception: web.HTTPException) -> web.Response:
    """Return aiohttp's exception in our shape, without its text, which may quote the request."""
    status = exception.status
    code = _CODES.get(status, "internal" if status >= 500 else "invalid_payload")
    headers = {name: exception.headers[name] for name in _KEPT_HEADERS if name in exception.headers}
    error = {"code": code, "message": _ADVICE.get(status, HTTPStatus(status).phrase)}
    return json_response({"ok": False, "error": error}, status, headers)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response that no cache stores."""
    return web.Response(
        body=json.dumps(body),
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def _is_api(request: web.Request) -> bool:
    return request.path.startswith(API_PREFIX)
