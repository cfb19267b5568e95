"""Cookie binding: a session that was opened with the visitor's cookie needs that cookie on each later request.

Browsers add cookies by themselves, so a page that may not connect could still have a session opened in the name of its
visitor. If its id leaked, everybody could use that session without ever having seen the cookie. Rules:

1. Only the cookie that identifies visitors counts. A session that was opened without it is not bound.
2. The binding is a keyed hash of the cookie at the end of the session id, behind a `~`: nothing is kept for a session.
   The key is made at the start of the process, which is the only one that answers requests of its sessions.
3. A binding cannot be cut off: a session is known by its whole id only.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import blake2b

from rtserver.protocol.cookies import cookie_value

MARK = "~"
_SIZE = 15


class CookieBinding:
    """Binds session ids to the cookie `name`. `cookies` are the `Cookie` headers of a request, joined."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._key = secrets.token_bytes(32)

    def bound(self, session_id: str, cookies: str) -> str:
        """Return the session id for a session that is opened with these cookies."""
        value = cookie_value(cookies, self._name)
        return f"{session_id}{MARK}{self._hash(session_id, value)}" if value else session_id

    def admits(self, session_id: str, cookies: str) -> bool:
        """Whether a request with these cookies may use the session."""
        opened_as, mark, _ = session_id.rpartition(MARK)
        return not mark or hmac.compare_digest(_bytes(self.bound(opened_as, cookies)), _bytes(session_id))

    def _hash(self, session_id: str, value: str) -> str:
        digest = blake2b(_bytes(f"{session_id}\0{value}"), key=self._key, digest_size=_SIZE).digest()
        return urlsafe_b64encode(digest).decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
