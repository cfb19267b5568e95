"""File storage: the interface of a place for uploaded files, and its implementation by a folder.

The server generates the keys (`UPLOAD_KEY`), so that no key can lead out of the folder. An S3-compatible storage would
be another `Storage`: `save` a multipart upload, `read` a GET with a Range, `keys` a listing.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from base64 import b32hexencode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Protocol, TypeVar

import structlog

from rtserver import private_files
from rtserver.errors import NotFound, Unavailable
from rtserver.telemetry.trouble_log import TroubleLog

UPLOAD_KEY = re.compile(r"[0-9a-v]{32}")
"""160 random bits: a key cannot be guessed."""
CHUNK = 256 * 1024
PAGE = 1000
_PART = ".part"
_PROBED = 65536
"""Bytes that a probe writes."""

T = TypeVar("T")

_log = structlog.get_logger("rtserver.store")


class Storage(Protocol):
    """Every method raises `Unavailable` when the storage is full or cannot be reached."""

    async def save(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Save a file completely or not at all; returns its size in bytes."""

    def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """`length` bytes from `start`, in chunks; raises `NotFound` before the first one."""

    async def probe(self) -> None:
        """Save something small, and remove it."""

    async def delete(self, key: str) -> None:
        """Delete a file; does nothing where it does not exist."""

    async def keys(self, older_than: float, after: str) -> list[str]:
        """The keys of files written more than `older_than` seconds ago: sorted, after `after`, at most `PAGE`.

        Removes incomplete files of that age.
        """


class FolderStorage:
    """A local or shared folder, closed to other users. A file appears there complete, or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trouble = TroubleLog(_log, "storage_trouble", "storage_recovered")

    async def save(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        part = self._file(key).with_suffix(f".{secrets.token_hex(4)}{_PART}")
        try:
            size = await self._write(part, chunks)
            await self._in_thread(_keep, part, self._file(key))
        except FileNotFoundError:  # the sweep removed it: the upload took too long, or the clock was set
            raise Unavailable("The file could not be saved; try again") from None
        finally:
            await self._in_thread(_remove, part)
        return size

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        try:
            file = await self._in_thread(_open, self._file(key))
        except FileNotFoundError:
            raise NotFound("There is no such file") from None
        try:
            await self._in_thread(file.seek, start)
            while length > 0 and (chunk := await self._in_thread(file.read, min(CHUNK, length))):
                length -= len(chunk)
                yield chunk
        finally:
            file.close()

    async def probe(self) -> None:
        await self._in_thread(_probe, self._path)

    async def delete(self, key: str) -> None:
        await self._in_thread(_remove, self._file(key))

    async def keys(self, older_than: float, after: str) -> list[str]:
        return await self._in_thread(_old_keys, self._path, time.time() - older_than, after)

    def _file(self, key: str) -> Path:
        if UPLOAD_KEY.fullmatch(key) is None:
            raise NotFound("There is no such file")
        return self._path / key[:2] / key

    async def _write(self, part: Path, chunks: AsyncIterator[bytes]) -> int:
        file: BinaryIO = await self._in_thread(_create, self._path, part)
        size = 0
        try:
            waiting = bytearray()
            async for chunk in chunks:
                waiting += chunk
                if len(waiting) >= CHUNK:
                    size += await self._in_thread(file.write, bytes(waiting))
                    waiting.clear()
            size += await self._in_thread(file.write, bytes(waiting))
            await self._in_thread(_flush, file)
        finally:
            file.close()
        return size

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        try:
            result = await asyncio.to_thread(work, *args)
        except FileNotFoundError:
            raise
        except OSError as error:
            self._trouble.failed(str(error.strerror), error=type(error).__name__)
            raise Unavailable("Files cannot be saved at the moment; try again") from None
        if self._trouble.failures:
            self._trouble.worked()
        return result


def new_key() -> str:
    """A random key."""
    return b32hexencode(secrets.token_bytes(20)).decode().lower()


def _probe(folder: Path) -> None:
    """Write a block and flush it; before the first upload, where the folder will be."""
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    with TemporaryFile(dir=place) as file:
        file.write(bytes(_PROBED))
        file.flush()
        os.fsync(file.fileno())


def _create(folder: Path, part: Path) -> BinaryIO:
    private_files.make_folder(part.parent)
    private_files.close_to_others(folder)
    return os.fdopen(private_files.open_new(part), "wb")


def _open(file: Path) -> BinaryIO:
    return file.open("rb")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _keep(part: Path, file: Path) -> None:
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


def _old_keys(folder: Path, before: float, after: str) -> list[str]:
    found: list[str] = []
    for part in sorted(folder.glob("??")):
        if part.name < after[:2]:
            continue
        for file in sorted(part.iterdir()):
            if file.name > after and _is_old(file, before):
                found.append(file.name)
        if len(found) >= PAGE:
            break
    return found[:PAGE]


def _is_old(file: Path, before: float) -> bool:
    """Whether it is a complete file from before that time; an incomplete one is removed."""
    with suppress(FileNotFoundError):
        if file.stat().st_mtime < before:
            if not file.name.endswith(_PART):
                return UPLOAD_KEY.fullmatch(file.name) is not None
            file.unlink()
    return False
