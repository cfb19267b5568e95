"""User ids as Redis keeps them. Every string has such a form, and every one of ours comes back as it was."""

from __future__ import annotations

from collections.abc import Iterable


def raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def text(name: bytes) -> str:
    """What somebody else has written there may be no text at all."""
    try:
        return name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return name.decode(errors="replace")


def texts(names: Iterable[bytes]) -> list[str]:
    return [text(name) for name in names]
