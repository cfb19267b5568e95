"""Static files, served from memory: content type, strong ETag, gzip, conditional requests.

Owns how a file becomes a response; must not know which files there are or who may read them. Callers pass paths from
their own allow-list, never text from a request.

1. Two encodings of a file are two representations, so each has its own ETag (RFC 9110, section 8.8.3).
2. A file is read again when its size or modification time changes, so that an upgrade needs no restart.
3. The ETag is a hash of the content, so that instances behind one proxy agree on it.

aiohttp's `FileResponse` does not fit. Its ETag is made of the modification time, which differs between installations,
so a browser would download a file again for each instance. It serves a `.gz` sibling even if the file beside it is
newer, and to clients that send `gzip;q=0`. With uvloop it takes several thread switches for each request.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from rtserver.protocol.accept_encoding import accepts_gzip
from rtserver.protocol.header_lists import joined, names_etag

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "application/javascript; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_COMPRESSED_ALREADY = {".png", ".woff2", ".ico"}
SUFFIXES = frozenset(_TYPES)


@dataclass(frozen=True, slots=True)
class File:
    """One file in memory. `version` is compared with the file on disk."""

    version: tuple[int, int]
    content_type: str
    etag: str
    body: bytes
    gzipped: bytes | None

    @property
    def gzip_etag(self) -> str:
        return f"{self.etag}-gz"


def file_of(body: bytes, suffix: str, version: tuple[int, int] = (0, 0)) -> File:
    """Return a file of this content; `suffix` decides its type."""
    zipped = None if suffix in _COMPRESSED_ALREADY else gzip.compress(body, 6, mtime=0)
    if zipped is not None and len(zipped) >= len(body):
        zipped = None
    return File(version, _TYPES[suffix], hashlib.sha256(body).hexdigest()[:32], body, zipped)


class Files:
    """A cache of files by path."""

    def __init__(self) -> None:
        self._known: dict[Path, File] = {}

    async def get(self, path: Path) -> File | None:
        """Return the file as it is on disk now; None when there is none."""
        known = self._known.get(path)
        version = _version(path)
        if version is None:
            return None
        if known is not None and known.version == version:
            return known
        try:
            file = await asyncio.to_thread(_read, path, version)
        except OSError:
            return None
        self._known[path] = file
        return file


def respond(request: web.Request, file: File, headers: Mapping[str, str]) -> web.Response:
    """Return 200 with the smallest encoding that the client accepts, or 304 when the client has it already."""
    zipped = file.gzipped if accepts_gzip(joined(request.headers, "Accept-Encoding")) else None
    etag = file.gzip_etag if zipped is not None else file.etag
    answer = {**headers, "ETag": f'"{etag}"', "X-Content-Type-Options": "nosniff"}
    if file.gzipped is not None:
        answer["Vary"] = "Accept-Encoding"
    if names_etag(request.headers, etag):
        return web.Response(status=304, headers=answer)
    answer["Content-Type"] = file.content_type
    if zipped is not None:
        answer["Content-Encoding"] = "gzip"
    return web.Response(body=file.body if zipped is None else zipped, headers=answer)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size)


def _read(path: Path, version: tuple[int, int]) -> File:
    return file_of(path.read_bytes(), path.suffix, version)
