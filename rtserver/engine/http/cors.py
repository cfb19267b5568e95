"""Origin policy and CORS headers: which pages may connect and read responses.

A browser sends the origin of the page with each request. The policy decides from it whether the page may connect, and
adds the headers by which the browser lets the page read the response. A request without an `Origin` comes from no page
of a browser, or from a page of the same origin, or is an element of a page, such as a script. Browsers mark these, so
that the pages which the policy does not name can be refused. Origins are compared in the normal form of
`rtserver.protocol.origins`, and repeated in the response as they were sent.

The engine and, above it, the HTTP API obey the same policy. They differ where every page is allowed: there the API
grants nothing that a visitor's cookies could pay for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import structlog

from rtserver.engine.http.environ import wsgi_environ
from rtserver.engine.http.request import HandshakeRequest, port_of
from rtserver.engine.http.responses import FORBIDDEN, Refusal
from rtserver.protocol import origins
from rtserver.protocol.addresses import TrustedPeers, normal_peer
from rtserver.protocol.header_lists import joined
from rtserver.protocol.origins import Origin, Requested
from rtserver.telemetry.refusal_log import RefusalLog

log = structlog.get_logger("rtserver.sio")

MAX_LOGGED_LENGTH = 200
MAX_AGE_SECONDS = 600
"""Seconds for which a browser may remember the response to a preflight."""

Rule = Callable[[str, Any], bool]
"""Whether an origin may connect by this request."""


class Grant(Enum):
    """What a page of an origin may do: nothing, what every page may, or what the pages that the policy names may."""

    REFUSED = 0
    AS_EVERY_PAGE = 1
    NAMED = 2


class OriginPolicy:
    """Which pages may connect.

    `allowed` has the forms of python-engineio's `cors_allowed_origins`: None: pages of the server's own host; "*": all;
    one origin or several; a function of the origin (and the environ); []: no check and no headers.
    """

    def __init__(
        self,
        allowed: Any,
        credentials: bool = True,
        *,
        own_host: bool = False,
        loopback: bool = False,
        trusted: TrustedPeers | None = None,
        strict: bool = False,
        log_rejected: bool = False,
    ) -> None:
        """`credentials`: browsers may send cookies. `own_host`: pages of the server's own host are allowed too.

        `loopback`: so are the pages of the visitor's own machine, whatever their port. `trusted`: the proxies whose
        X-Forwarded-… headers tell the own host. `strict`: a page of http is of the own host only where it is certain
        that no proxy has decrypted the request.
        `log_rejected`: log rejected origins, as the page does not learn from its browser why it was rejected.
        """
        self._off = isinstance(allowed, list | tuple) and not allowed and not own_host
        self._open = allowed == "*" or (isinstance(allowed, list | tuple | set | frozenset) and "*" in allowed)
        self._rule = self._is_own if allowed is None else _rule(allowed)
        self._credentials = credentials
        self._own_host = own_host
        self._loopback = loopback
        self._trusted = TrustedPeers() if trusted is None else trusted
        self._strict = strict
        self._rejections = RefusalLog(log, level="info") if log_rejected else None
        self.needs_request = callable(allowed) and _takes_environ(allowed)
        """Whether the check needs aiohttp's request, not just a `HandshakeRequest`."""

    def grant(self, origin: str, request: HandshakeRequest) -> Grant:
        """Return what a page of this origin may do by this request."""
        # Browsers send ASCII only; another origin could not be repeated in a header.
        if not origin.isascii():
            return Grant.REFUSED
        if self._names(origin, request):
            return Grant.NAMED
        if self._open:
            return Grant.AS_EVERY_PAGE
        if self._rejections is not None:
            reason = self._reason(origin, request)
            self._rejections.note("origin_refused", reason, {"origin": origin[:MAX_LOGGED_LENGTH]})
        return Grant.REFUSED

    def headers(self, request: HandshakeRequest) -> dict[str, str]:
        """Return the CORS headers of the response; raises `Refusal` for an origin that is not allowed."""
        origin = origin_of(request)
        if self._off:
            return {}
        if origin is None:
            if not (self._open or self._may_load(request)):
                raise Refusal(FORBIDDEN)
            return {}
        if self.grant(origin, request) is Grant.REFUSED:
            raise Refusal(FORBIDDEN)
        return response_headers(origin, self._credentials)

    def preflight(self, request: HandshakeRequest) -> dict[str, str]:
        """Return the headers of the response to a preflight; raises `Refusal` as `headers` does."""
        headers = self.headers(request)
        if headers:
            requested = joined(request.headers, "Access-Control-Request-Headers")
            named = self.grant(headers["Access-Control-Allow-Origin"], request) is Grant.NAMED
            headers |= preflight_headers(request, named, "GET,HEAD,PUT,PATCH,POST,DELETE", requested)
        return headers

    def _names(self, origin: str, request: HandshakeRequest) -> bool:
        if self._rule(origin, request):
            return True
        if not (self._own_host or self._loopback):
            return False
        page = origins.parse(origin) if self._loopback else None
        return (page is not None and page.is_loopback) or (self._own_host and self._is_own(origin, request))

    def _is_own(self, origin: str, request: HandshakeRequest) -> bool:
        page = origins.parse(origin)
        return page is not None and origins.is_own(page, self._requested(request, self._strict))

    def _requested(self, request: HandshakeRequest, strict: bool) -> Requested:
        trusted = self._trusted.trusts(normal_peer(request.remote))
        return Requested(request.scheme, request.host, request.headers, port_of(request), trusted, strict)

    def _may_load(self, request: HandshakeRequest) -> bool:
        """Whether a request without Origin is from no page, or from an element of one that may connect.

        A page that polls sends its origin, except to its own server. So what comes from elsewhere is a script element
        (JSONP), an image or a link: the browser adds the visitor's cookies, and asks nobody. JSONP alone can be read by
        the page, so that there the browser's silence is no permission either.
        """
        site = joined(request.headers, "Sec-Fetch-Site")
        if site in ("same-origin", "none") or not (site or "j" in request.query):
            return True
        page = origins.of_url(request.headers.get("Referer", ""))
        return page is not None and self.grant(str(page), request) is not Grant.REFUSED

    def _reason(self, origin: str, request: HandshakeRequest) -> str:
        page = origins.parse(origin)
        if self._strict and page is not None and origins.is_own(page, self._requested(request, strict=False)):
            return (
                "a page of http, and no proxy of RTSERVER_TRUSTED_PROXIES says that the request did not come by https"
            )
        return "RTSERVER_CORS_ORIGINS does not name it"


def origin_of(request: HandshakeRequest) -> str | None:
    """Return the `Origin` header; of several lines, which no browser sends, all of them."""
    lines = request.headers.getall("Origin", ())
    return ", ".join(lines) if lines else None


def response_headers(origin: str, credentials: bool) -> dict[str, str]:
    """Return the headers that let a page of this origin read a response, with its visitor's cookies or without."""
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if credentials:
        headers["Access-Control-Allow-Credentials"] = "true"
    return headers


def preflight_headers(request: HandshakeRequest, named: bool, methods: str, headers: str | None) -> dict[str, str]:
    """Return what the response to an allowed preflight has besides. `named`: the policy names the origin of the page.

    Only such a page may reach a server in a private network from outside (Private Network Access): "every page" would
    open the network to the whole web.
    """
    answer = {"Access-Control-Allow-Methods": methods, "Access-Control-Max-Age": str(MAX_AGE_SECONDS)}
    if headers and headers.isascii():
        answer["Access-Control-Allow-Headers"] = headers
    if named and request.headers.get("Access-Control-Request-Private-Network", "").lower() == "true":
        answer["Access-Control-Allow-Private-Network"] = "true"
    return answer


def _rule(allowed: Any) -> Rule:
    """The rule of `cors_allowed_origins`, but for "*", which names no page, and None."""
    if callable(allowed):
        return _rule_of_function(allowed)
    named = frozenset(_parsed([allowed] if isinstance(allowed, str) else allowed))
    return lambda origin, request: origins.parse(origin) in named


def _parsed(texts: Iterable[str]) -> Iterable[Origin]:
    for text in texts:
        origin = origins.parse_setting(text)
        if origin is not None:
            yield origin
        elif text != "*":
            log.warning("origin_invalid", origin=text[:MAX_LOGGED_LENGTH], hint="such as https://example.com, no path")


def _rule_of_function(function: Callable[..., Any]) -> Rule:
    if _takes_environ(function):
        return lambda origin, request: bool(function(origin, wsgi_environ(request)))
    return lambda origin, request: bool(function(origin))


def _takes_environ(function: Callable[..., Any]) -> bool:
    return len(inspect.signature(function).parameters) > 1
