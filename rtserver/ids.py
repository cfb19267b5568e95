"""Ids of sockets and server instances.

1. A socket id (sid) is 15 random bytes as 20 characters of the base64url alphabet, like Node's (`base64id`).
2. The id of a Socket.IO v2 client is the public part of its session id behind the name of the namespace:
   `/chat#<public part>`. Its client derives an id from the whole session id, and so knows the public part.
3. The id of a session gives access to it: it is never shown to others, and logs have its public part alone. Of a
   session of v2 that is everything before the last dot, behind which a second secret follows; of others the first half.
4. A room name of either shape could be the private room of a client, so clients may not choose one: see
   `looks_like_sid`.
"""

from __future__ import annotations

import re
import secrets

_SID = re.compile(r"(?:/[^#]*#(?:[A-Za-z0-9]+-)?)?([A-Za-z0-9_-]{20})")
_INSTANCE_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_sid() -> str:
    """A random socket id."""
    while not looks_like_sid(sid := secrets.token_urlsafe(15)):
        pass
    return sid


def with_secret(session_id: str) -> str:
    """The session id of a Socket.IO v2 client: `session_id`, which may be shown, and a second secret."""
    return f"{session_id}.{secrets.token_urlsafe(15)}"


def without_secret(session_id: str) -> str:
    """The public part of the session id of a Socket.IO v2 client."""
    return session_id.rpartition(".")[0]


def first_half(session_id: str) -> str:
    """The public part of any other session id: it tells sessions apart, and gives access to none."""
    return session_id[: len(session_id) // 2]


def looks_like_sid(name: str) -> bool:
    """Whether `name` has the shape of a socket id.

    Twenty characters without a capital letter or digit count as words. A random id looks like that once in 15 million
    times, and `new_sid` never returns such a one.
    """
    match = _SID.fullmatch(name)
    return match is not None and any(c.isupper() or c.isdigit() for c in match[1])


def new_instance_id() -> str:
    """A short random id for a server instance: letters and digits only, as session ids and routes contain it."""
    return "".join(secrets.choice(_INSTANCE_ALPHABET) for _ in range(6))
