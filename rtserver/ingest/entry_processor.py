"""What backends left somewhere to be fetched: read, carried out in order, and settled one by one.

Owns the form of an entry and what its faults lead to; must not know where it was left.

1. Entries that share a room or a user keep their order; the others are carried out side by side.
2. `unavailable` settles nothing: it is tried again, ever slower, for as long as it takes.
3. What can never be carried out is settled with the reason. A fault of ours is tried `attempts` times; what is left
   then is settled with a reason too, or not at all, where `forsaken` says so: whoever keeps it gives it out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import structlog

from rtserver.errors import EventError, InvalidPayload, TooLarge, Unavailable
from rtserver.ingest.commands import Request
from rtserver.ingest.intake import checked
from rtserver.ingest.ordering import ordering_keys, windows
from rtserver.protocol import json

MAX_BYTES = 1_000_000
SIDE_BY_SIDE = 32
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0

log = structlog.get_logger("rtserver.doors")

Take = Callable[[Request, str | None], Awaitable[Any]]
"""Of a request and its origin."""
Settle = Callable[[Any, str | None], None]
"""Of an entry's handle and, where it can never be carried out, the reason."""


class Entry(NamedTuple):
    """An entry as it was found: `read` makes kind and body of it, or raises an `EventError`."""

    handle: Any
    origin: str | None
    read: Callable[[], tuple[str, Any]]


class EntryProcessor:
    def __init__(self, take: Take, *, attempts: int = 5, forsaken: bool = False) -> None:
        self._take = take
        self._attempts = attempts
        self._forsaken = forsaken

    async def carry(self, entries: Iterable[Entry], settle: Settle) -> None:
        """Returns when every entry is settled, but for those that are forsaken."""
        good: list[tuple[Entry, Request]] = []
        for left in entries:
            try:
                good.append((left, checked(*left.read())))
            except EventError as error:
                settle(left.handle, _reason(error))
        for window in windows(good, lambda one: ordering_keys(one[1]), SIDE_BY_SIDE):
            await asyncio.gather(*(self._one(left, request, settle) for left, request in window))

    async def _one(self, left: Entry, request: Request, settle: Settle) -> None:
        pause, failed = _FIRST_PAUSE, 0
        while True:
            try:
                await self._take(request, left.origin)
                settle(left.handle, None)
                return
            except Unavailable:
                pass
            except EventError as error:
                if not error.retryable and error.code != "internal":
                    settle(left.handle, _reason(error))
                    return
                failed += 1
            except Exception:
                log.exception("entry_failed", origin=left.origin)
                failed += 1
            if failed >= self._attempts:
                if not self._forsaken:
                    settle(left.handle, f"internal: failed {failed} times")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def read_fields(fields: Mapping[bytes, bytes]) -> tuple[str, Any]:
    """`kind`, `body` (JSON), and optionally `key` and `at`, as the fields of an entry of a stream."""
    if sum(map(len, fields.values())) > MAX_BYTES:
        raise TooLarge(f"The entry is larger than {MAX_BYTES} bytes")
    given = {_text(name): value for name, value in fields.items()}
    if unknown := given.keys() - {"kind", "body", "key", "at"}:
        raise InvalidPayload(f"The entry has an unknown field: {min(unknown)[:50]}")
    if "kind" not in given or "body" not in given:
        raise InvalidPayload("The entry needs the fields kind and body")
    at = _text(given["at"]) if "at" in given else None
    moment = int(at) if at is not None and at.isascii() and at.isdigit() and len(at) < 17 else at
    key = _text(given["key"]) if "key" in given else None
    return _text(given["kind"]), _completed(_parsed(given["body"]), key=key, at=moment)


def read_json(value: bytes) -> tuple[str, Any]:
    """The same as one JSON object: `{"kind": …, "body": {…}, "key"?: …, "at"?: …}`."""
    entry = _parsed(value)
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str) or "body" not in entry:
        raise InvalidPayload('The entry must be {"kind": …, "body": {…}}')
    if unknown := entry.keys() - {"kind", "body", "key", "at"}:
        raise InvalidPayload(f"The entry has an unknown field: {min(unknown)[:50]}")
    return entry["kind"], _completed(entry["body"], key=entry.get("key"), at=entry.get("at"))


def _completed(body: Any, **given: Any) -> Any:
    """The body with what stands beside it."""
    if not isinstance(body, dict):
        raise InvalidPayload("The body must be a JSON object")
    for name, value in given.items():
        if value is not None and body.setdefault(name, value) != value:
            raise InvalidPayload(f"`{name}` stands beside the body and, with another value, in it")
    return body


def _parsed(value: bytes) -> Any:
    if len(value) > MAX_BYTES:
        raise TooLarge(f"The entry is larger than {MAX_BYTES} bytes")
    try:
        return json.loads(value)
    except json.JsonError as error:
        raise InvalidPayload(f"The entry is not acceptable JSON: {error}") from None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidPayload("The entry is not UTF-8") from None


def _reason(error: EventError) -> str:
    return f"{error.code}: {error.message}"[:500]
