"""JSON request bodies, read within a bound and checked against a struct.

Owns what counts as an acceptable body; must not know what it is for. Depth bombs, NaN and the like end in
`rtserver.protocol.json`; unknown fields are refused, for `room` in place of `rooms` must not become a broadcast to all.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from rtserver.errors import InvalidPayload, TooLarge
from rtserver.protocol import json

MAX_BODY_BYTES = 1_000_000

T = TypeVar("T")


async def read_json(request: web.Request, shape: type[T], limit: int = MAX_BODY_BYTES) -> T:
    """The body as `shape`. Raises `HTTPUnsupportedMediaType`, `TooLarge` or `InvalidPayload`."""
    # A browser sends application/json across origins only after a preflight, so this also keeps forged forms out.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    body = await _read(request, limit)
    try:
        return msgspec.convert(json.loads(body), shape, strict=True)
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
