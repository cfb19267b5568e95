"""Origin checks and CORS headers of the Engine.IO endpoint.

`allowed` is python-engineio's `cors_allowed_origins`: None = pages of the server's own host; "*"; one origin or
several; a function of the origin (and the environ); [] = no check and no headers; besides, an object whose `allows`
takes the origin and the request. A request without an Origin comes from no browser's page, and passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from engineio.async_drivers.aiohttp import translate_request

from rtserver.engine.http.responses import FORBIDDEN, Refusal
from rtserver.engine.session.interfaces import HandshakeRequest


class OriginPolicy:
    def __init__(self, allowed: Any, credentials: bool) -> None:
        self._off = isinstance(allowed, list | tuple) and not allowed
        self._open = allowed == "*" or (isinstance(allowed, list | tuple | set | frozenset) and "*" in allowed)
        self._allows = _check(allowed)
        self._credentials = credentials
        self.needs_request = callable(allowed) and _wants_environ(allowed)
        """Whether it looks at more than `HandshakeRequest` has."""

    def headers(self, request: HandshakeRequest) -> dict[str, str]:
        """What to add to the answer; raises `Refusal` for an origin that may not connect."""
        origin = request.headers.get("Origin")
        if self._off:
            return {}
        if origin is None:
            if not self._open and "j" in request.query and request.headers.get("Sec-Fetch-Site") == "cross-site":
                raise Refusal(FORBIDDEN)
            return {}
        # One that is not ASCII is of no browser, and could not be repeated in a header.
        if not origin.isascii() or not self._allows(origin, request):
            raise Refusal(FORBIDDEN)
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if self._credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers

    def preflight(self, request: HandshakeRequest) -> dict[str, str]:
        headers = self.headers(request)
        if headers:
            headers["Access-Control-Allow-Methods"] = "GET,HEAD,PUT,PATCH,POST,DELETE"
            asked = request.headers.get("Access-Control-Request-Headers")
            if asked is not None:
                headers["Access-Control-Allow-Headers"] = asked
        return headers


def _check(allowed: Any) -> Callable[[str, Any], bool]:
    if allowed is None:
        return is_own
    if hasattr(allowed, "allows"):
        return allowed.allows  # type: ignore[no-any-return]
    if callable(allowed):
        return _asking(allowed)
    names = frozenset([allowed] if isinstance(allowed, str) else allowed)
    if "*" in names:
        return lambda origin, request: True
    return lambda origin, request: origin in names


def _asking(function: Callable[..., Any]) -> Callable[[str, Any], bool]:
    """A function may take the environ as well."""
    if _wants_environ(function):
        return lambda origin, request: bool(function(origin, translate_request(request)))
    return lambda origin, request: bool(function(origin))


def _wants_environ(function: Callable[..., Any]) -> bool:
    return len(inspect.signature(function).parameters) > 1


def is_own(origin: str, request: HandshakeRequest) -> bool:
    """Whether the page is of the host that was asked, as the client or a proxy in front of us names it."""
    headers = request.headers
    scheme = headers.get("X-Forwarded-Proto", request.scheme).split(",")[0].strip()
    host = headers.get("X-Forwarded-Host", request.host).split(",")[0].strip()
    return origin in (f"{request.scheme}://{request.host}", f"{scheme}://{host}")


_log = structlog.get_logger("rtserver.sio")

_TOLD = 100
"""Origins that are remembered as told; more of them are refused without a word."""
_SHOWN = 200


class Origins:
    """Which pages may connect: those named, and those of the server's own host.

    Each refused one is logged once, as its browser gives the page no reason that it could show.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)
        self._told: set[str] = set()

    def allows(self, origin: str, request: HandshakeRequest) -> bool:
        if origin in self._allowed or is_own(origin, request):
            return True
        self._tell(origin[:_SHOWN])
        return False

    def _tell(self, origin: str) -> None:
        if origin not in self._told and len(self._told) < _TOLD:
            self._told.add(origin)
            _log.info("origin_refused", origin=origin, reason="RTSERVER_CORS_ORIGINS does not name it")
