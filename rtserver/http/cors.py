"""CORS for `/api/…`, the client bundle and whatever else `app` names.

Owns the decision which origins may read a response. Must not know the endpoints: `covers` says which paths are meant.
1. Origins compare exactly: no patterns, no suffixes, and `null` only where it is listed.
2. Engine.IO answers preflights for `/socket.io/` by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import hdrs, web

from rtserver.errors import Forbidden
from rtserver.http.errors import API_PREFIX, Handler

ANY = "*"
_MAX_AGE_SECONDS = 600


def cors_headers(origin: str | None, allowed: frozenset[str]) -> dict[str, str]:
    """Return the headers that let `origin` read a response; none where the browser must keep it from the page."""
    if origin is None:
        return {}
    if origin in allowed:
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true"}
    # Credentials never go with the wildcard: any page on the web could then act as its visitor.
    return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: ANY} if ANY in allowed else {}


def preflight_headers(origin: str | None, allowed: frozenset[str]) -> dict[str, str]:
    """Return the headers of a preflight response; none where the origin is not allowed."""
    headers = cors_headers(origin, allowed)
    if headers:
        headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, HEAD, POST, PUT, PATCH, DELETE"
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "Authorization, Content-Type"
        headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(_MAX_AGE_SECONDS)
    return headers


def covers_api(path: str) -> bool:
    """Whether the path belongs to the HTTP API."""
    return path.startswith(API_PREFIX)


class Cors:
    """`origins` as `https://app.example.com`, or `*` for every page on the web, then without credentials.

    `covers(path)` says which paths may be read across origins at all. `refused(origin, request)` is called for each
    request whose origin is not allowed; the origin may be the server's own.
    """

    def __init__(
        self,
        origins: Iterable[str],
        covers: Callable[[str], bool] = covers_api,
        refused: Callable[[str, web.Request], object] | None = None,
    ) -> None:
        self._allowed = frozenset(origins)
        self._refused = refused
        self._covers = covers

    def install(self, app: web.Application) -> None:
        """Answer preflights, and add the headers to every other response, errors included."""
        app.middlewares.append(self.preflight)
        app.on_response_prepare.append(self.mark)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer preflights (204, or `Forbidden`); pass on every other request. A middleware."""
        if not self._is_preflight(request):
            return await handler(request)
        headers = preflight_headers(request.headers.get(hdrs.ORIGIN), self._allowed)
        if not headers:
            raise Forbidden("This origin is not allowed")
        return web.Response(status=204, headers=headers)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the CORS headers to a response. A handler of `on_response_prepare`."""
        if not self._covers(request.path):
            return
        origin = request.headers.get(hdrs.ORIGIN)
        headers = cors_headers(origin, self._allowed)
        if origin is not None and not headers and self._refused is not None:
            self._refused(origin, request)
        response.headers.update(headers)
        # Without an Origin too: a cache must not hand this response to a page that needs the headers.
        vary = response.headers.get(hdrs.VARY)
        response.headers[hdrs.VARY] = f"{vary}, Origin" if vary else "Origin"

    def _is_preflight(self, request: web.Request) -> bool:
        return (
            request.method == hdrs.METH_OPTIONS
            and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
            and self._covers(request.path)
        )
