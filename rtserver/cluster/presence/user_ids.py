"""User ids as bytes in Redis. Every string can be encoded, and is equal after decoding."""

from __future__ import annotations

from collections.abc import Iterable


def encode_user(name: str) -> bytes:
    """Return the UTF-8 of the id; lone surrogates are allowed."""
    return name.encode("utf-8", "surrogatepass")


def decode_user(name: bytes) -> str:
    """Return the id; bytes that others have written, and that are no text, are replaced."""
    try:
        return name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return name.decode(errors="replace")


def decode_users(names: Iterable[bytes]) -> list[str]:
    """Decode each id."""
    return [decode_user(name) for name in names]
