"""Uploading files, and handing them out: `POST /api/uploads`, `DELETE /api/uploads/{id}`, `GET /uploads/{id}`.

1. The address of a file is what opens it: 160 random bits, shown to whoever uploaded it, who puts it into a message.
2. A file's type is what its owner says, so nothing may come of a lie: browsers do not guess (`nosniff`), run nothing
   (`sandbox`) and show only pictures, sound and film; the rest is saved.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Annotated, Protocol
from urllib.parse import quote

from aiohttp import web
from msgspec import Meta, Struct

from rtserver.errors import InvalidPayload, NotFound, RateLimited, TooLarge, Unavailable
from rtserver.http.api.credentials import Caller
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse
from rtserver.store.uploads.upload_store import Upload

AT_ONCE_PER_USER = 4
AT_ONCE = 100
"""Uploads under way on this server: each holds a file open."""
PIECE_SECONDS = 30.0
UPLOAD_SECONDS = 600.0
_SHOWN = re.compile(r"image/(png|jpeg|gif|webp|avif)|audio/[^+]+|video/[^+]+")
# No control characters; what follows the `$` is for Python, where it also matches before a last line break.
_NAME = r"^[^\x00-\x1f\x7f-\x9f/\\]+$(?!\n)"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=3600",
    "Accept-Ranges": "bytes",
}


class UploadStore(Protocol):
    """Keeps files. An owner of "" is a backend."""

    async def save(self, owner: str, name: str, type_: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Raises `TooLarge` past the owner's quota, `Unavailable` when it is not kept."""
        ...

    async def find(self, id: str) -> tuple[Upload, str] | None:
        """The file and its owner."""
        ...

    def read(self, id: str, start: int, length: int) -> AsyncGenerator[bytes, None]: ...

    async def delete(self, ids: list[str]) -> None: ...


class UploadQuery(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=_NAME)] = "file"


class UploadPath(Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern=r"^[0-9a-v]{32}$", max_length=32)]


class UploadAnswer(OkResponse, kw_only=True):
    """`url` is the path of the file on this server; put it into a message's `data`."""

    upload: Upload
    url: str


class UploadsApi:
    """`types`: the media types that are taken, `video/*` for a kind of them; `limit`: bytes of one file."""

    def __init__(
        self, keeping: UploadStore, *, limit: int, types: Sequence[str], piece_seconds: float = PIECE_SECONDS
    ) -> None:
        self._keeping = keeping
        self._limit = limit
        self._types = frozenset(types)
        self._piece_seconds = piece_seconds
        self._under_way: Counter[str] = Counter()

    @operation("POST", "/api/uploads", summary="Upload a file", tag="uploads", access="user", takes="*/*", status=201)
    async def upload(self, query: UploadQuery, caller: Caller, request: web.Request) -> UploadAnswer:
        """The body is the file itself, `Content-Type` its type. For users with their own token, and for backends."""
        owner = "" if caller.backend or caller.identity is None else caller.identity.user
        type_ = self._checked_type(request)
        if (request.content_length or 0) > self._limit:
            raise self._too_large()
        with self._turn(caller.name):
            async with _deadline(UPLOAD_SECONDS):
                saved = await self._keeping.save(owner, query.name, type_, self._pieces(request))
        return UploadAnswer(upload=saved, url=f"/uploads/{saved.id}")

    @operation("DELETE", "/api/uploads/{id}", summary="Delete a file", tag="uploads", access="user", errors=[NotFound])
    async def delete_upload(self, path: UploadPath, caller: Caller) -> OkResponse:
        """One's own; a backend may delete every file."""
        found = await self._keeping.find(path.id)
        if found is None or not (caller.backend or (caller.identity and caller.identity.user == found[1])):
            raise NotFound("There is no such file")
        await self._keeping.delete([path.id])
        return OkResponse()

    def _checked_type(self, request: web.Request) -> str:
        type_ = request.content_type.lower()
        kind = type_.partition("/")[0]
        plain = re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", type_)
        if not plain or not {type_, f"{kind}/*"} & self._types or "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType
        return type_

    @contextmanager
    def _turn(self, who: str) -> Iterator[None]:
        if self._under_way.total() >= AT_ONCE:
            raise Unavailable("Too many files are being uploaded; try again")
        if self._under_way[who] >= AT_ONCE_PER_USER:
            raise RateLimited(1, "Too many files at once")
        self._under_way[who] += 1
        try:
            yield
        finally:
            self._under_way[who] -= 1
            self._under_way += Counter()  # without those at zero

    async def _pieces(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        while True:
            try:
                async with _deadline(self._piece_seconds):
                    piece = await request.content.readany()
            except web.RequestPayloadError:
                raise InvalidPayload("The body could not be read") from None
            if not piece:
                break
            size += len(piece)
            if size > self._limit:
                raise self._too_large()
            yield piece
        if size == 0:
            raise InvalidPayload("The file is empty")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A file has at most {self._limit} bytes", details={"limit": self._limit})


class UploadedFiles:
    """Hands files out to whoever has their address."""

    def __init__(self, keeping: UploadStore) -> None:
        self._keeping = keeping

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/uploads/{id:[0-9a-v]{32}}", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        found = await self._keeping.find(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        upload, _ = found
        headers = {**_HEADERS, "ETag": f'"{upload.id}"', "Content-Disposition": _disposition(upload)}
        if f'"{upload.id}"' in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        start, end, status = _range(request, upload.size)
        if status == 416:
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{upload.size}"})
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{upload.size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_type = upload.type
        response.content_length = end - start
        return await self._send(request, response, upload, start)

    async def _send(
        self, request: web.Request, response: web.StreamResponse, upload: Upload, start: int
    ) -> web.StreamResponse:
        length = response.content_length or 0
        async with aclosing(self._keeping.read(upload.id, start, length)) as pieces:
            try:
                first = await anext(pieces, b"")
            except NotFound:
                raise web.HTTPNotFound from None
            await response.prepare(request)
            if request.method != "HEAD":
                await response.write(first)
                async for piece in pieces:
                    await response.write(piece)
        return response


def _range(request: web.Request, size: int) -> tuple[int, int, int]:
    """Start, end and status; several ranges at once, and other units, are answered with the whole."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.group(1) == asked.group(2) == "":
        return 0, size, 200
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (start, end, 206) if start < end else (0, 0, 416)


def _disposition(upload: Upload) -> str:
    kind = "inline" if _SHOWN.fullmatch(upload.type) else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(upload.name, safe='')}"


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """A request that is too slow is answered 408."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
