"""JSON request bodies, read within a bound and checked against a struct.

Owns which bodies are acceptable; must not know their use.
1. `rtserver.protocol.json` rejects excessive depth, NaN and the like.
2. Unknown fields are rejected: `room` in place of `rooms` must not become a broadcast to all clients.
3. A field that occurs twice is rejected: a proxy may have checked the other one.
4. The limit holds for the body as it is sent, and for its content, which is inflated here as it arrives (or by aiohttp,
   in an application that left this on).
"""

from __future__ import annotations

import asyncio
import json as _stdlib
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from rtserver.engine.http.body_limit import is_inflated
from rtserver.errors import InvalidPayload, TooLarge
from rtserver.http.api.content_encoding import ENCODINGS, EncodingError, Inflater
from rtserver.protocol import json
from rtserver.protocol.conversion import convert
from rtserver.protocol.header_lists import joined

MAX_BODY_BYTES = 1_000_000
BODY_SECONDS = 30.0
"""For a whole body to arrive."""
_PLAIN = "identity"

T = TypeVar("T")


async def read_json(request: web.Request, shape: type[T], limit: int = MAX_BODY_BYTES) -> T:
    """Return the body as `shape`, of at most `limit` bytes.

    Raises `HTTPUnsupportedMediaType`, `HTTPRequestTimeout`, `TooLarge` or `InvalidPayload`.
    """
    # A browser sends application/json across origins only after a preflight, so this also rejects forged forms.
    encoding = joined(request.headers, "Content-Encoding").lower() or _PLAIN
    if request.content_type != "application/json" or encoding not in ENCODINGS | {_PLAIN}:
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(request, encoding, limit)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        checked: T = convert(_parsed(body), shape)
        return checked
    except (json.JsonError, msgspec.ValidationError) as error:
        raise InvalidPayload(str(error)) from None


async def _read(request: web.Request, encoding: str, limit: int) -> bytes:
    """Return the content, at most `limit` bytes."""
    received, body = request.content_length or 0, bytearray()
    inflater = None if encoding == _PLAIN or is_inflated(request.content) else Inflater(encoding, limit)
    try:
        while received <= limit and len(body) <= limit and (chunk := await request.content.readany()):
            received = max(received, request.content.total_raw_bytes)
            body += chunk if inflater is None else inflater.feed(chunk)
        if received > limit or len(body) > limit:
            raise TooLarge(f"The body is larger than {limit} bytes")
        if inflater is not None:
            inflater.finish()
    except (web.RequestPayloadError, EncodingError):
        raise InvalidPayload("The body could not be decoded") from None
    return bytes(body)


def _parsed(body: bytes) -> Any:
    value = json.loads(body)
    # Each member has one colon, so with as many keys as colons no key was repeated: usually no second parse is needed.
    colons = body.count(b":")
    if colons > 1 and colons != _count_keys(value):
        _stdlib.loads(body, object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
    return value


def _count_keys(value: Any) -> int:
    """Count the keys at every level. Recursion is bounded by `json.MAX_DEPTH`."""
    if type(value) is dict:
        return len(value) + sum(map(_count_keys, value.values()))
    return sum(map(_count_keys, value)) if type(value) is list else 0


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise json.JsonError(f"`{name[:50]}` occurs twice")
        seen.add(name)
