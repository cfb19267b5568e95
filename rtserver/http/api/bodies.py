"""JSON request bodies, read within a bound and checked against a struct.

Owns which bodies are acceptable; must not know their use.
1. `rtserver.protocol.json` rejects excessive depth, NaN and the like.
2. Unknown fields are rejected: `room` in place of `rooms` must not become a broadcast to all clients.
3. A field that occurs twice is rejected: a proxy may have checked the other one.
"""

from __future__ import annotations

import asyncio
import json as _stdlib
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from rtserver.errors import InvalidPayload, TooLarge
from rtserver.protocol import json
from rtserver.protocol.conversion import convert
from rtserver.protocol.header_lists import joined

MAX_BODY_BYTES = 1_000_000
BODY_SECONDS = 30.0
"""For a whole body to arrive."""
_ENCODINGS = frozenset({"identity", "gzip", "deflate"})
"""Encodings that aiohttp has decoded by then. It passes on unknown ones as they are."""

T = TypeVar("T")


async def read_json(request: web.Request, shape: type[T], limit: int = MAX_BODY_BYTES) -> T:
    """Return the body as `shape`, of at most `limit` bytes.

    Raises `HTTPUnsupportedMediaType`, `HTTPRequestTimeout`, `TooLarge` or `InvalidPayload`.
    """
    # A browser sends application/json across origins only after a preflight, so this also rejects forged forms.
    encoding = joined(request.headers, "Content-Encoding").lower() or "identity"
    if request.content_type != "application/json" or encoding not in _ENCODINGS:
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(request, limit)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        checked: T = convert(_parsed(body), shape)
        return checked
    except (json.JsonError, msgspec.ValidationError) as error:
        raise InvalidPayload(str(error)) from None


async def _read(request: web.Request, limit: int) -> bytes:
    """Return at most `limit` bytes, counted after decompression."""
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
    # Each member has one colon, so with as many keys as colons no key was repeated: usually no second parse is needed.
    if body.count(b":") != _count_keys(value):
        _stdlib.loads(body, object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
    return value


def _count_keys(value: Any) -> int:
    """Count the keys at every level. Recursion is bounded by `json.MAX_DEPTH`."""
    if type(value) is dict:
        return len(value) + sum(map(_count_keys, value.values()))
    return sum(map(_count_keys, value)) if type(value) is list else 0


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise json.JsonError(f"`{repeated[:50]}` occurs twice")
