"""User ids as Redis keeps them. Every string has such a form, and every one of ours comes back as it was."""

from __future__ import annotations

from collections.abc import Iterable


def encode_user(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def decode_user(name: bytes) -> str:
    """What somebody else has written there may be no text at all."""
    try:
        return name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return name.decode(errors="replace")


def decode_users(names: Iterable[bytes]) -> list[str]:
    return [decode_user(name) for name in names]
