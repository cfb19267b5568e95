"""Ids of sockets and instances.

A sid is 15 random bytes as 20 characters of the base64url alphabet, like Node's (`base64id`). A room name of that shape
could be the private room of a client, so clients may not choose one: see `looks_like_sid`. Socket.IO v2 clients have
the id of their session behind the name of the namespace: `/chat#<sid>`.
"""

from __future__ import annotations

import re
import secrets

_SID = re.compile(r"(?:/[^#]*#(?:[A-Za-z0-9]+-)?)?([A-Za-z0-9_-]{20})")
_INSTANCE_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_sid() -> str:
    while not looks_like_sid(sid := secrets.token_urlsafe(15)):
        pass
    return sid


def looks_like_sid(name: str) -> bool:
    """Whether `name` has the shape of a socket id.

    Twenty lower-case letters and dashes are taken for a word: a random id looks so once in 15 million, and this
    server never makes one.
    """
    match = _SID.fullmatch(name)
    return match is not None and any(c.isupper() or c.isdigit() for c in match[1])


def new_instance_id() -> str:
    """A short id for a server instance: letters and digits only, since session ids and routes are built on it."""
    return "".join(secrets.choice(_INSTANCE_ALPHABET) for _ in range(6))
