"""Column types that reject values which a database cannot store, before they reach a driver.

1. Every value of every statement passes one of these types, so that hostile values do not appear as database failures.
2. A rejected value raises `InvalidPayload`. SQLAlchemy wraps it, and `rtserver.store.db.errors` unwraps it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from rtserver.errors import InvalidPayload
from rtserver.protocol import json

# Up to three keys share an index, and Postgres limits an index entry to 2,704 bytes.
KEY_BYTES = 800
MAX_INT = 2**63 - 1


def checked_text(value: Any) -> str:
    """`value` as text that both databases can store: without NUL (Postgres rejects it) and lone surrogates.

    This and the functions below raise `InvalidPayload`.
    """
    if not isinstance(value, str):
        raise InvalidPayload("A text is expected")
    if "\0" in value:
        raise InvalidPayload("A text must not contain the NUL character")
    if not value.isascii():
        _utf8(value)
    return value


def checked_key(value: Any) -> str:
    """`value` as text that can be indexed (a room, a user, an id, a nonce): at most `KEY_BYTES` of UTF-8."""
    text = checked_text(value)
    # A character has at most four bytes, so most names need no counting.
    if len(text) > KEY_BYTES // 4 and (len(text) > KEY_BYTES or len(_utf8(text)) > KEY_BYTES):
        raise InvalidPayload(f"A name, an id or a nonce takes at most {KEY_BYTES} bytes")
    return text


def checked_int(value: Any) -> int:
    """`value` as an integer of 64 bits."""
    if not isinstance(value, int) or not -MAX_INT <= value <= MAX_INT:
        raise InvalidPayload("A number is out of range")
    return value


def checked_json(value: Any) -> str:
    """`value` as JSON text that is known to be readable again."""
    try:
        text = json.dumps(value)
        json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"The data cannot be stored as JSON: {error}") from None
    return text.decode()


def plain_json(value: Any) -> Any:
    """`value` as it will be read back, with everything converted to what JSON can express."""
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
    """An integer of 64 bits: sequence numbers and times."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else checked_int(value)


class JsonText(TypeDecorator[Any]):
    """Any JSON value, stored as text: it may contain `\\u0000`, which the JSON type of Postgres rejects."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else checked_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
