"""CORS for `/api/…`, the client bundle and whatever else `app` names.

Carries out, for these paths, the policy by which Engine.IO admits pages. Must not know the endpoints: `covers` says
which paths are meant.
1. Engine.IO answers preflights for its own path by itself.
2. Where the policy allows every page, a page that it does not name gets no credentials: any page on the web could
   otherwise act as its visitor.
3. A path that does not exist is reported as such to every page that is allowed, rather than as a refusal.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import hdrs, web

from rtserver.engine.http.cors import Grant, OriginPolicy, origin_of, preflight_headers, response_headers
from rtserver.errors import Forbidden
from rtserver.http.errors import API_PREFIX, Handler

ANY = "*"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type"


def covers_api(path: str) -> bool:
    """Whether the path belongs to the HTTP API."""
    return path.startswith(API_PREFIX)


class Cors:
    """`covers(path)` says which paths may be read across origins at all."""

    def __init__(self, policy: OriginPolicy, covers: Callable[[str], bool] = covers_api) -> None:
        self._policy = policy
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
        origin = origin_of(request)
        grant = Grant.REFUSED if origin is None else self._policy.grant(origin, request)
        if grant is Grant.REFUSED:
            raise Forbidden("This origin is not allowed")
        return web.Response(status=204, headers=preflight_headers(request, grant is Grant.NAMED, _METHODS, _HEADERS))

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the CORS headers to a response. A handler of `on_response_prepare`."""
        if not self._covers(request.path) and (
            response.status != 404 or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in response.headers
        ):
            return
        # Without an Origin too: a cache must not hand this response to a page that needs the headers.
        vary = response.headers.get(hdrs.VARY)
        response.headers.update(self._headers(request))
        response.headers[hdrs.VARY] = f"{vary}, Origin" if vary else "Origin"

    def _headers(self, request: web.Request) -> dict[str, str]:
        origin = origin_of(request)
        if origin is None:
            return {}
        match self._policy.grant(origin, request):
            case Grant.NAMED:
                return response_headers(origin, credentials=True)
            case Grant.AS_EVERY_PAGE:
                return response_headers(ANY, credentials=False)
        return {}

    def _is_preflight(self, request: web.Request) -> bool:
        return (
            request.method == hdrs.METH_OPTIONS
            and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
            and self._covers(request.path)
        )
