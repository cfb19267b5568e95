"""Cross-origin access to `/api/…` and the client bundle.

Owns which origins browsers may call from; must not know the endpoints behind. Engine.IO answers for `/socket.io/`
by itself. Origins compare exactly: no patterns, no suffixes, and `null` only where it is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import hdrs, web

from rtserver.errors import Forbidden
from rtserver.http.errors import API_PREFIX, Handler
from rtserver.http.pages.client_bundle import PATHS as BUNDLE_PATHS

ANY = "*"
_MAX_AGE_SECONDS = 600


def cors_headers(origin: str | None, allowed: frozenset[str]) -> dict[str, str]:
    """What to add to an answer for `origin`; empty when the browser shall keep the answer from the page."""
    if origin is None:
        return {}
    if origin in allowed:
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true"}
    # Credentials never go with the wildcard: any page on the web could then act as its visitor.
    return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: ANY} if ANY in allowed else {}


def preflight_headers(origin: str | None, allowed: frozenset[str]) -> dict[str, str]:
    """What to answer to a preflight; empty when it is refused."""
    headers = cors_headers(origin, allowed)
    if headers:
        headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, HEAD, POST, PUT, PATCH, DELETE"
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "Authorization, Content-Type"
        headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(_MAX_AGE_SECONDS)
    return headers


def covers(path: str) -> bool:
    """Whether this part answers for the path."""
    return path.startswith(API_PREFIX) or path in BUNDLE_PATHS


class Cors:
    """`origins` as `https://app.example.com`, or `*` for every page on the web, then without credentials.

    `refused` is called with an origin that gets nothing, and its request; it may be the server's own.
    """

    def __init__(
        self,
        origins: Iterable[str],
        covers: Callable[[str], bool] = covers,
        refused: Callable[[str, web.Request], object] | None = None,
    ) -> None:
        self._allowed = frozenset(origins)
        self._refused = refused
        self._covers = covers

    def install(self, app: web.Application) -> None:
        """Answer preflights and mark every other answer, errors included."""
        app.middlewares.append(self.preflight)
        app.on_response_prepare.append(self.mark)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_preflight(request):
            return await handler(request)
        headers = preflight_headers(request.headers.get(hdrs.ORIGIN), self._allowed)
        if not headers:
            raise Forbidden("This origin is not allowed")
        return web.Response(status=204, headers=headers)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        if not self._covers(request.path):
            return
        origin = request.headers.get(hdrs.ORIGIN)
        headers = cors_headers(origin, self._allowed)
        if origin is not None and not headers and self._refused is not None:
            self._refused(origin, request)
        response.headers.update(headers)
        # Also without an Origin: a cache must not hand this answer to a page that would need the headers.
        vary = response.headers.get(hdrs.VARY)
        response.headers[hdrs.VARY] = f"{vary}, Origin" if vary else "Origin"

    def _is_preflight(self, request: web.Request) -> bool:
        return (
            request.method == hdrs.METH_OPTIONS
            and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
            and self._covers(request.path)
        )
