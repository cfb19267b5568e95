"""Router of the HTTP API: turns the operation table into aiohttp routes, and executes requests.

Owns the order of the checks: caller, rate, path and query, body. A caller that is rejected learns nothing further.
Where the API is off, it does not even learn which paths and methods there would be: the document and the refusal of a
method are for services only.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from aiohttp import web

from rtserver.errors import RateLimited
from rtserver.http.api.bodies import read_json
from rtserver.http.api.credentials import Caller, Credentials
from rtserver.http.api.openapi import OPENAPI_PATH
from rtserver.http.api.operations import Access, Endpoint, endpoints
from rtserver.http.api.parameters import read_path, read_query
from rtserver.http.api.rendered_document import RenderedDocument
from rtserver.http.errors import json_response
from rtserver.rate_limit import Rate, TokenBuckets

MAX_CALLERS = 10_000
"""Callers whose rate is remembered."""


class CallLimiter:
    """Rate limit per caller; `rate` None means no limit."""

    def __init__(self, rate: Rate | None) -> None:
        self._buckets = TokenBuckets(rate, MAX_CALLERS) if rate is not None else None

    def check(self, caller: Caller) -> None:
        """Count a request of the caller; raises `RateLimited` past the rate."""
        if self._buckets is not None and (retry_after := self._buckets.take(caller.id)):
            raise RateLimited(retry_after, "Too many requests; slow down")


class ApiRouter:
    """`parts` have the operations; `rate` applies to each backend, `user_rate` to each other caller."""

    def __init__(
        self,
        *parts: object,
        credentials: Credentials,
        version: str = "0",
        rate: Rate | None = None,
        user_rate: Rate | None = None,
    ) -> None:
        self._endpoints = endpoints(parts)
        self._credentials = credentials
        self._limits = {True: CallLimiter(rate), False: CallLimiter(user_rate)}
        self._document = RenderedDocument([each.operation for each in self._endpoints], version)

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each operation, and that of the OpenAPI document."""
        table = [_route(each, self._handler(each)) for each in self._endpoints]
        table.append(web.get(OPENAPI_PATH, self._describe, allow_head=False))
        return table if self._credentials.are_set else [*table, *self._hidden()]

    def _hidden(self) -> Iterator[web.RouteDef]:
        """Yield a route for all other methods of each path that is for backends alone."""
        methods: dict[str, list[str]] = {OPENAPI_PATH: ["GET"]}
        for endpoint in self._endpoints:
            methods.setdefault(endpoint.operation.path, []).append(endpoint.operation.method)
        shown = {endpoint.operation.path for endpoint in self._endpoints if endpoint.operation.access != "backend"}
        for path, allowed in methods.items():
            if path not in shown:
                yield web.route("*", _pattern(path), partial(self._refuse_method, allowed=allowed))

    async def _refuse_method(self, request: web.Request, *, allowed: list[str]) -> web.StreamResponse:
        await self._credentials.backend(request)
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    async def _describe(self, request: web.Request) -> web.Response:
        if not self._credentials.are_set:
            await self._credentials.backend(request)
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=await self._document.read(), content_type="application/json", headers=headers)

    def _handler(self, endpoint: Endpoint) -> Any:
        operation = endpoint.operation

        async def serve(request: web.Request) -> web.StreamResponse:
            caller = await self._admit(request, operation.access)
            given = await _inputs(request, operation.inputs, caller)
            answer = await endpoint.handler(**given)
            if isinstance(answer, web.StreamResponse):
                return answer
            return json_response(answer, operation.status)

        return serve

    async def _admit(self, request: web.Request, access: Access) -> Caller | None:
        if access == "public":
            return None
        check = self._credentials.backend if access == "backend" else self._credentials.user
        caller = await check(request)
        self._limits[caller.backend].check(caller)
        return caller


async def _inputs(request: web.Request, wanted: Any, caller: Caller | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if "path" in wanted:
        given["path"] = read_path(request.match_info, wanted["path"])
    if "query" in wanted:
        given["query"] = read_query(request.query, wanted["query"])
    if "caller" in wanted:
        given["caller"] = caller
    if "request" in wanted:
        given["request"] = request
    if "body" in wanted:
        given["body"] = await read_json(request, wanted["body"])
    return given


def _route(endpoint: Endpoint, handler: Any) -> web.RouteDef:
    return web.route(endpoint.operation.method, _pattern(endpoint.operation.path), handler)


def _pattern(path: str) -> str:
    # aiohttp's own pattern for a segment excludes braces, which room names may contain.
    return path.replace("}", ":[^/]+}")
