"""Development tokens: `GET /dev/tokens` returns ready tokens for the demo pages.

Owns the decision who may have them: the person who started the server. Must not know how tokens are made. The route
exists in development mode only.

A request from this machine proves nothing: a proxy, a tunnel or a forwarded port passes on requests of everybody, and
need not add a header that says so. So the key of the pages is needed, `Authorization: Bearer KEY`; the server shows it
in the link that it prints to a terminal. Without the key the answer is 401. It is 404, as a second line of defence, to

1. peers that are not on the loopback interface, and peers behind a local proxy or tunnel that names another address,
   another host or only itself;
2. a `Host` that is no loopback name: a web page can point its own name at 127.0.0.1 (DNS rebinding);
3. requests from a page of another origin.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiMapping

from rtserver.auth.bearer import bearer_token
from rtserver.errors import Refused
from rtserver.http.errors import json_response
from rtserver.protocol import origins
from rtserver.protocol.addresses import normal_address

# (user, name, roles) -> token
Issue = Callable[[str, str, tuple[str, ...]], str]

_USERS = (("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol"))
_ADMIN = ("admin", "Admin")
_SERVICE = ("backend", "Backend")
_PROXY_HEADERS = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")
_PROXY_MARKS = ("Forwarded", "Via")


class DevTokens:
    """Returns `{"users": [{id, name, token}], "admin": …, "service": …}`, with new tokens for each request.

    The token of `service` is what a backend has: it opens the HTTP API, whether there is an API key or not.
    """

    def __init__(self, issue: Issue, key: str, fingerprint: str) -> None:
        """`key`: of the pages. `fingerprint`: of a signing secret that the server has made itself, else empty; the 401
        has it, so that the command line knows whether the server would accept its tokens.
        """
        self._issue = issue
        self._key = key
        self._fingerprint = fingerprint

    def routes(self) -> list[web.RouteDef]:
        """Return the one route."""
        return [web.get("/dev/tokens", self._serve, allow_head=False)]

    async def _serve(self, request: web.Request) -> web.Response:
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        address = peer[0] if isinstance(peer, tuple) else None
        if not may_have_tokens(address, request.headers):
            raise web.HTTPNotFound
        given = bearer_token(request.headers.get("Authorization", ""))
        if given is None or not compare_digest(given.encode("utf-8", "surrogateescape"), self._key.encode()):
            message = "Open the link that the server printed to its terminal"
            raise Refused(message, code="token_missing", secret=self._fingerprint)
        users = [self._person(user, name) for user, name in _USERS]
        body = {
            "users": users,
            "admin": self._person(*_ADMIN, "admin"),
            "service": self._person(*_SERVICE, "service"),
        }
        return json_response(body, headers={"Cross-Origin-Resource-Policy": "same-origin"})

    def _person(self, user: str, name: str, *roles: str) -> dict[str, str]:
        return {"id": user, "name": name, "token": self._issue(user, name, roles)}


def may_have_tokens(peer: str | None, headers: MultiMapping[str]) -> bool:
    """Whether a request from the address `peer` comes from this machine and from one of our pages."""
    host = headers.get("Host", "")
    origin = headers.get("Origin")
    return (
        _is_loopback(peer)
        and all(_is_loopback(hop) for hop in _forwarded(headers))
        and all(_is_loopback_name(name) for name in headers.getall("X-Forwarded-Host", []))
        and not any(mark in headers for mark in _PROXY_MARKS)
        and _is_loopback_name(host)
        and (origin is None or _is_at(origin, host))
        and headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    )


def _forwarded(headers: MultiMapping[str]) -> list[str]:
    # Every line of a header counts: some proxies add their own line below the client's.
    lines = [line for name in _PROXY_HEADERS for line in headers.getall(name, [])]
    return [hop.strip() for line in lines for hop in line.split(",")]


def _is_loopback(address: str | None) -> bool:
    normal = normal_address(address or "")
    return normal is not None and ip_address(normal).is_loopback


def _is_loopback_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_at(origin: str, host: str) -> bool:
    # Exactly this host and port: of the pages of this machine, only the server's own may have tokens.
    page = origins.parse(origin)
    return page is not None and origins.is_at(page, host)
