"""Entry processor: entries fetched from a broker are parsed, executed in order, and settled one by one.

Owns the format of an entry and the handling of its errors. Does not know which broker it came from.

1. Entries that share a room or a user keep their order; the others are executed concurrently.
2. An entry that fails with `Unavailable` is retried with growing pauses for as long as it takes.
3. An entry that can never be executed is settled with the reason. After a bug of ours it is tried `attempts` times;
   then it is settled with the reason too; with `redelivered_by_broker` it is left unsettled instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import structlog

from rtserver.backoff import Backoff
from rtserver.errors import EventError, InvalidPayload, TooLarge, Unavailable
from rtserver.ingest.commands import Request
from rtserver.ingest.intake import checked
from rtserver.ingest.ordering import ordering_keys, windows
from rtserver.protocol import json

MAX_BYTES = 1_000_000
CONCURRENCY = 32
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0

log = structlog.get_logger("rtserver.doors")

Submit = Callable[[Request, str | None], Awaitable[Any]]
"""Executes or schedules a request; called with the request and its origin."""
Settle = Callable[[Any, str | None], None]
"""Called with the handle of an entry that is over: with None if it is done, else with the reason."""


class Entry(NamedTuple):
    """An entry as it was fetched. `handle` identifies it at the broker; `read` returns kind and body, or raises an
    `EventError`; `origin` is the idempotency key of an entry that has none of its own."""

    handle: Any
    origin: str | None
    read: Callable[[], tuple[str, Any]]


class EntryProcessor:
    """`attempts`: how often an entry is tried that fails because of a bug of ours."""

    def __init__(self, submit: Submit, *, attempts: int = 5, redelivered_by_broker: bool = False) -> None:
        self._submit = submit
        self._attempts = attempts
        self._redelivered_by_broker = redelivered_by_broker

    async def process(self, entries: Iterable[Entry], settle: Settle) -> None:
        """Execute entries; return when each is settled, or left to the broker."""
        readable: list[tuple[Entry, Request]] = []
        for entry in entries:
            try:
                readable.append((entry, checked(*entry.read())))
            except EventError as error:
                settle(entry.handle, _reason(error))
        for window in windows(readable, lambda one: ordering_keys(one[1]), CONCURRENCY):
            await asyncio.gather(*(self._process_one(entry, request, settle) for entry, request in window))

    async def _process_one(self, entry: Entry, request: Request, settle: Settle) -> None:
        backoff: Backoff | None = None  # most entries need none
        failed = 0
        while True:
            try:
                await self._submit(request, entry.origin)
                settle(entry.handle, None)
                return
            except Unavailable:
                pass
            except EventError as error:
                if not error.retryable and error.code != "internal":
                    settle(entry.handle, _reason(error))
                    return
                failed += 1
            except Exception:
                log.exception("entry_failed", origin=entry.origin)
                failed += 1
            if failed >= self._attempts:
                if not self._redelivered_by_broker:
                    settle(entry.handle, f"internal: failed {failed} times")
                return
            backoff = backoff or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, jitter=0.0)
            await asyncio.sleep(backoff.pause())


def read_fields(fields: Mapping[bytes, bytes]) -> tuple[str, Any]:
    """Return kind and body of a stream entry: fields `kind`, `body` (JSON), and optionally `key` and `at`.

    Raises `InvalidPayload` or `TooLarge`.
    """
    if sum(map(len, fields.values())) > MAX_BYTES:
        raise TooLarge(f"The entry is larger than {MAX_BYTES} bytes")
    given = {_text(name): value for name, value in fields.items()}
    if unknown := given.keys() - {"kind", "body", "key", "at"}:
        raise InvalidPayload(f"The entry has an unknown field: {min(unknown)[:50]}")
    if "kind" not in given or "body" not in given:
        raise InvalidPayload("The entry needs the fields kind and body")
    at = _text(given["at"]) if "at" in given else None
    digits = at.removesuffix(".0") if at is not None else ""
    moment = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 17 else at
    key = _text(given["key"]) if "key" in given else None
    return _text(given["kind"]), _completed(_parsed(given["body"]), key=key, at=moment)


def read_json(value: bytes) -> tuple[str, Any]:
    """The same for one JSON object: `{"kind": …, "body": {…}, "key"?: …, "at"?: …}`."""
    entry = _parsed(value)
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str) or "body" not in entry:
        raise InvalidPayload('The entry must be {"kind": …, "body": {…}}')
    if unknown := entry.keys() - {"kind", "body", "key", "at"}:
        raise InvalidPayload(f"The entry has an unknown field: {min(unknown)[:50]}")
    return entry["kind"], _completed(entry["body"], key=entry.get("key"), at=entry.get("at"))


def _completed(body: Any, **given: Any) -> Any:
    """Return the body with the fields given beside it; the same field may not differ in both places."""
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


def loggable(reason: str) -> str:
    """Return the reason of a dead entry without what may repeat a part of it: the whole stands in the dead letter."""
    return ": ".join(reason.split(": ")[:2])


def _reason(error: EventError) -> str:
    return f"{error.code}: {error.message}"[:500]
