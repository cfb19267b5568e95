"""Uploads: `GET` and `POST /api/uploads`, `DELETE /api/uploads/{id}`, `GET /uploads/{id}`.

1. The URL of a file is its access key: 160 random bits, returned to the uploader, who puts it into a message.
2. The media type is declared by the uploader and is not trusted: browsers do not guess (`nosniff`), execute nothing
   (`sandbox`) and display only images, audio and video; other files are downloaded.
3. Files come from an `UploadStore`, which need not be a folder, so aiohttp's `FileResponse` cannot send them. It would
   also reject several ranges at once with 416, where this module returns the whole file as RFC 9110 permits, and accept
   `bytes=-0`, which is unsatisfiable.
4. A file never changes under its id, so the id is its ETag and ranges need no `If-Range`.
5. The uploads that a user begins have a rate, whether they end or not: each costs a file, a row and a flush of the
   disk, however small it is.
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
from rtserver.http.api.router import CallLimiter
from rtserver.http.api.structs import OkResponse
from rtserver.protocol.header_lists import names_etag
from rtserver.rate_limit import Rate
from rtserver.store.uploads.upload_store import Upload

AT_ONCE_PER_USER = 4
AT_ONCE = 100
"""Concurrent uploads to this server: each holds a file open."""
CHUNK_SECONDS = 30.0
"""For the next chunk of a body to arrive."""
UPLOAD_SECONDS = 600.0
"""For a whole body to arrive."""
_SHOWN = re.compile(r"image/(png|jpeg|gif|webp|avif)|audio/[^+]+|video/[^+]+")
# No control characters. In Python, `$` also matches before a final line break, which the look-ahead excludes.
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
    """Stores files. The owner "" is a backend."""

    async def save(self, owner: str, name: str, type_: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Save a file. Raises `TooLarge` past the owner's quota, `Unavailable` when it could not be saved."""
        ...

    async def find(self, id: str) -> tuple[Upload, str] | None:
        """Return the file and its owner."""
        ...

    def read(self, id: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `start` in chunks; raises `NotFound` before the first."""
        ...

    async def delete(self, ids: list[str]) -> None:
        """Delete the files with these ids, if they exist."""
        ...


class UploadQuery(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=_NAME)] = "file"


class UploadPath(Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern=r"^[0-9a-v]{32}$", max_length=32)]


class UploadRules(OkResponse, kw_only=True):
    """`types`: the media types that are accepted, such as `video/*`; `limit`: the most bytes of one file, 0 where the
    server takes no files."""

    limit: int
    types: list[str]


class UploadAnswer(OkResponse, kw_only=True):
    """`url` is the path of the file on this server, to be put into a message's `data`."""

    upload: Upload
    url: str


class UploadRulesApi:
    """Also where uploads are off: pages ask before they offer them."""

    def __init__(self, *, limit: int, types: Sequence[str]) -> None:
        self._rules = UploadRules(limit=limit, types=list(types) if limit else [])

    @operation("GET", "/api/uploads", summary="Read which files are accepted", tag="uploads", access="user")
    async def upload_rules(self) -> UploadRules:
        """For users with their own token, and for backends."""
        return self._rules


class UploadsApi:
    """`types` and `limit` as in `UploadRules`; `rate`: of the uploads that one user begins."""

    def __init__(
        self,
        uploads: UploadStore,
        *,
        limit: int,
        types: Sequence[str],
        rate: Rate | None = None,
        chunk_seconds: float = CHUNK_SECONDS,
    ) -> None:
        self._uploads = uploads
        self._limit = limit
        self._types = frozenset(types)
        self._rate = CallLimiter(rate)
        self._chunk_seconds = chunk_seconds
        self._in_progress: Counter[str] = Counter()

    @operation("POST", "/api/uploads", summary="Upload a file", tag="uploads", access="user", takes="*/*", status=201)
    async def upload(self, query: UploadQuery, caller: Caller, request: web.Request) -> UploadAnswer:
        """The body is the file itself, `Content-Type` its type. For users with their own token, and for backends."""
        owner = "" if caller.backend or caller.identity is None else caller.identity.user
        type_ = self._checked_type(request)
        if (request.content_length or 0) > self._limit:
            raise self._too_large()
        if not caller.backend:
            self._rate.check(caller)
        with self._slot(caller.id):
            async with _deadline(UPLOAD_SECONDS):
                saved = await self._uploads.save(owner, query.name, type_, self._chunks(request))
        return UploadAnswer(upload=saved, url=f"/uploads/{saved.id}")

    @operation("DELETE", "/api/uploads/{id}", summary="Delete a file", tag="uploads", access="user", errors=[NotFound])
    async def delete_upload(self, path: UploadPath, caller: Caller) -> OkResponse:
        """Users may delete their own files, backends every file."""
        found = await self._uploads.find(path.id)
        if found is None or not (caller.backend or (caller.identity and caller.identity.user == found[1])):
            raise NotFound("There is no such file")
        await self._uploads.delete([path.id])
        return OkResponse()

    def _checked_type(self, request: web.Request) -> str:
        type_ = request.content_type.lower()
        kind = type_.partition("/")[0]
        plain = re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", type_)
        if not plain or not {type_, f"{kind}/*"} & self._types or "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType
        return type_

    @contextmanager
    def _slot(self, caller: str) -> Iterator[None]:
        if self._in_progress.total() >= AT_ONCE:
            raise Unavailable("Too many files are being uploaded; try again")
        if self._in_progress[caller] >= AT_ONCE_PER_USER:
            raise RateLimited(1, "Too many files at once")
        self._in_progress[caller] += 1
        try:
            yield
        finally:
            self._in_progress[caller] -= 1
            self._in_progress += Counter()  # drops the callers at zero

    async def _chunks(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        while True:
            try:
                async with _deadline(self._chunk_seconds):
                    chunk = await request.content.readany()
            except web.RequestPayloadError:
                raise InvalidPayload("The body could not be read") from None
            if not chunk:
                break
            size += len(chunk)
            if size > self._limit:
                raise self._too_large()
            yield chunk
        if size == 0:
            raise InvalidPayload("The file is empty")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A file has at most {self._limit} bytes", details={"limit": self._limit})


class UploadedFiles:
    """Sends a file to every caller that knows its URL."""

    def __init__(self, uploads: UploadStore) -> None:
        self._uploads = uploads

    def routes(self) -> list[web.RouteDef]:
        """Return the one route."""
        return [web.get("/uploads/{id:[0-9a-v]{32}}", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        found = await self._uploads.find(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        upload, _ = found
        headers = {**_HEADERS, "ETag": f'"{upload.id}"', "Content-Disposition": _disposition(upload)}
        if names_etag(request.headers, upload.id):
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
        async with aclosing(self._uploads.read(upload.id, start, length)) as chunks:
            try:
                first = await anext(chunks, b"")
            except NotFound:
                raise web.HTTPNotFound from None
            await response.prepare(request)
            if request.method != "HEAD":
                await response.write(first)
                async for chunk in chunks:
                    await response.write(chunk)
        return response


def _range(request: web.Request, size: int) -> tuple[int, int, int]:
    """Return start, end and status. Several ranges at once, and other units than bytes, select the whole file."""
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    if wanted is None or wanted.group(1) == wanted.group(2) == "":
        return 0, size, 200
    first, last = wanted.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (start, end, 206) if start < end else (0, 0, 416)


def _disposition(upload: Upload) -> str:
    kind = "inline" if _SHOWN.fullmatch(upload.type) else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(upload.name, safe='')}"


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """Raise `HTTPRequestTimeout` (408) when the block takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
