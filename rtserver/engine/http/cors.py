"""Origin checks and CORS headers of the Engine.IO endpoint.

A browser sends the origin of the page with each request. The policy decides from it whether the page may connect, and
adds the headers by which the browser lets the page read the response. A request without an `Origin` comes from no page
of a browser, or from a page of the same origin, and is allowed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import structlog

from rtserver.engine.http.environ import wsgi_environ
from rtserver.engine.http.request import HandshakeRequest
from rtserver.engine.http.responses import FORBIDDEN, Refusal
from rtserver.protocol.header_lists import joined

log = structlog.get_logger("rtserver.sio")

MAX_LOGGED = 100
"""Origins that are remembered as logged; further ones are rejected without a log line."""
MAX_LOGGED_LENGTH = 200

Rule = Callable[[str, Any], bool]
"""Whether an origin may connect by this request."""


class OriginPolicy:
    """Which pages may connect.

    `allowed` has the forms of python-engineio's `cors_allowed_origins`: None: pages of the server's own host; "*": all;
    one origin or several; a function of the origin (and the environ); []: no check and no headers. Besides, a policy.
    """

    def __init__(
        self, allowed: Any, credentials: bool = True, *, own_host: bool = False, log_rejected: bool = False
    ) -> None:
        """`credentials`: browsers may send cookies. `own_host`: pages of the server's own host are allowed too.

        `log_rejected`: log each rejected origin once, as the page does not learn from its browser why it was rejected.
        """
        self._off = isinstance(allowed, list | tuple) and not allowed and not own_host
        self._open = allowed == "*" or (isinstance(allowed, list | tuple | set | frozenset) and "*" in allowed)
        self._rule = _rule(allowed)
        self._credentials = credentials
        self._own_host = own_host
        self._log_rejected = log_rejected
        self._logged: set[str] = set()
        self.needs_request = callable(allowed) and _takes_environ(allowed)
        """Whether the check needs aiohttp's request, not just a `HandshakeRequest`."""

    def allows(self, origin: str, request: HandshakeRequest) -> bool:
        """Whether a page of this origin may connect by this request."""
        if self._rule(origin, request) or (self._own_host and is_own(origin, request)):
            return True
        if self._log_rejected:
            self._log(origin[:MAX_LOGGED_LENGTH])
        return False

    def headers(self, request: HandshakeRequest) -> dict[str, str]:
        """Return the CORS headers of the response; raises `Refusal` for an origin that is not allowed."""
        origin = request.headers.get("Origin")
        if self._off:
            return {}
        if origin is None:
            # A script element of a foreign page: the browser would send cookies with it, but no Origin.
            if not self._open and "j" in request.query and request.headers.get("Sec-Fetch-Site") == "cross-site":
                raise Refusal(FORBIDDEN)
            return {}
        # Browsers send ASCII only; another origin could not be repeated in a header.
        if not origin.isascii() or not self.allows(origin, request):
            raise Refusal(FORBIDDEN)
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if self._credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers

    def preflight(self, request: HandshakeRequest) -> dict[str, str]:
        """Return the headers of the response to a preflight; raises `Refusal` as `headers` does."""
        headers = self.headers(request)
        if headers:
            headers["Access-Control-Allow-Methods"] = "GET,HEAD,PUT,PATCH,POST,DELETE"
            requested = joined(request.headers, "Access-Control-Request-Headers")
            if requested:
                headers["Access-Control-Allow-Headers"] = requested
        return headers

    def _log(self, origin: str) -> None:
        if origin not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(origin)
            log.info("origin_refused", origin=origin, reason="RTSERVER_CORS_ORIGINS does not name it")


def _rule(allowed: Any) -> Rule:
    if allowed is None:
        return is_own
    if hasattr(allowed, "allows"):
        return allowed.allows  # type: ignore[no-any-return]
    if callable(allowed):
        return _rule_of_function(allowed)
    names = frozenset([allowed] if isinstance(allowed, str) else allowed)
    if "*" in names:
        return lambda origin, request: True
    return lambda origin, request: origin in names


def _rule_of_function(function: Callable[..., Any]) -> Rule:
    if _takes_environ(function):
        return lambda origin, request: bool(function(origin, wsgi_environ(request)))
    return lambda origin, request: bool(function(origin))


def _takes_environ(function: Callable[..., Any]) -> bool:
    return len(inspect.signature(function).parameters) > 1


def is_own(origin: str, request: HandshakeRequest) -> bool:
    """Whether the page is of the requested host, as the client or a proxy before this server names it."""
    headers = request.headers
    scheme = headers.get("X-Forwarded-Proto", request.scheme).split(",")[0].strip()
    host = headers.get("X-Forwarded-Host", request.host).split(",")[0].strip()
    return origin in (f"{request.scheme}://{request.host}", f"{scheme}://{host}")
