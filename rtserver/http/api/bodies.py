"""JSON request bodies, read within a bound and checked against a struct.

Owns what counts as an acceptable body; must not know what it is for. Depth bombs, NaN and the like end in
`rtserver.protocol.json`; unknown fields are refused, for `room` in place of `rooms` must not become a broadcast to all,
and so is a field that is there twice, of which a proxy may have looked at the other one.
"""

from __future__ import annotations

import asyncio
import json as _stdlib
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from rtserver.errors import InvalidPayload, TooLarge
from rtserver.protocol import json

MAX_BODY_BYTES = 1_000_000
BODY_SECONDS = 30.0
"""How long a body may take to arrive."""
_ENCODINGS = frozenset({"identity", "gzip", "deflate"})
"""What aiohttp has undone by then. It leaves unknown ones as they are."""

T = TypeVar("T")


async def read_json(request: web.Request, shape: type[T], limit: int = MAX_BODY_BYTES) -> T:
    """The body as `shape`. Raises `HTTPUnsupportedMediaType`, `HTTPRequestTimeout`, `TooLarge` or `InvalidPayload`."""
    # A browser sends application/json across origins only after a preflight, so this also keeps forged forms out.
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if request.content_type != "application/json" or encoding not in _ENCODINGS:
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(request, limit)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        return msgspec.convert(_parsed(body), shape, strict=True)
    except (json.JsonError, msgspec.ValidationError) as error:
        raise InvalidPayload(str(error)) from None


async def _read(request: web.Request, limit: int) -> bytes:
    """At most `limit` bytes, counted after decompression."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes")
    body = bytearray()
    try:
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > limit:
                raise TooLarge(f"The body is larger than {limit} bytes")
    except web.RequestPayloadError:
        raise InvalidPayload("The body could not be decoded") from None
    return bytes(body)


def _parsed(body: bytes) -> Any:
    value = json.loads(body)
    # Each member has a colon, so as many keys as colons are all that were sent: mostly no second look is needed.
    if body.count(b":") != _count_keys(value):
        _stdlib.loads(body, object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
    return value


def _count_keys(value: Any) -> int:
    """Recursion is bounded by `json.MAX_DEPTH`."""
    if type(value) is dict:
        return len(value) + sum(map(_count_keys, value.values()))
    return sum(map(_count_keys, value)) if type(value) is list else 0


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise json.JsonError(f"`{repeated[:50]}` is there twice")
