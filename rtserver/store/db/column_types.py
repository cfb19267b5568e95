"""Column types, which refuse what a database cannot keep before it reaches a driver.

1. Every value of every statement passes one of these, so nothing hostile surfaces as trouble of the database.
2. A refusal is `InvalidPayload`. SQLAlchemy wraps it on its way out; `rtserver.store.db.errors` unwraps it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from rtserver.errors import InvalidPayload
from rtserver.protocol import json

# Three of these share an index, and Postgres cannot index an entry beyond 2,704 bytes.
KEY_BYTES = 800
MAX_INT = 2**63 - 1


def checked_text(value: Any) -> str:
    """Text that both databases can keep: no NUL (Postgres refuses it) and no half of a surrogate pair."""
    if not isinstance(value, str):
        raise InvalidPayload("A text is expected")
    if "\0" in value:
        raise InvalidPayload("A text must not contain the NUL character")
    if not value.isascii():
        _utf8(value)
    return value


def checked_key(value: Any) -> str:
    """Text that can stand in an index: a room, a user, an id, a nonce."""
    text = checked_text(value)
    # A character takes four bytes at most: most names need no counting.
    if len(text) > KEY_BYTES // 4 and (len(text) > KEY_BYTES or len(_utf8(text)) > KEY_BYTES):
        raise InvalidPayload(f"A name, an id or a nonce takes at most {KEY_BYTES} bytes")
    return text


def checked_int(value: Any) -> int:
    if not isinstance(value, int) or not -MAX_INT <= value <= MAX_INT:
        raise InvalidPayload("A number is out of range")
    return value


def checked_json(value: Any) -> str:
    """JSON text that is sure to be readable again."""
    try:
        text = json.dumps(value)
        json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"The data cannot be kept as JSON: {error}") from None
    return text.decode()


def plain_json(value: Any) -> Any:
    """The value as it will be read back: what JSON cannot say is already turned into what it can."""
    return None if value is None else json.loads(checked_json(value))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidPayload("A text must be valid Unicode") from None


class PlainText(TypeDecorator[str]):
    """Text of any length."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else checked_text(value)


class Key(TypeDecorator[str]):
    """Text that is part of an index."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else checked_key(value)


class Int(TypeDecorator[int]):
    """A whole number of 64 bit: sequence numbers and times."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else checked_int(value)


class JsonText(TypeDecorator[Any]):
    """Any JSON value, kept as text: `\\u0000` may stand in it, which Postgres' own JSON type refuses."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else checked_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
