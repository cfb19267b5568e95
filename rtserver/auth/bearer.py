"""Bearer tokens of an `Authorization` header (RFC 6750, section 2.1)."""

from __future__ import annotations

_SCHEME = "bearer "


def bearer_token(header: str) -> str | None:
    """Return the token, which may be empty; None for no header and for other schemes. The scheme's case is ignored.

    Other schemes are not ours: a proxy may ask for a password, for example.
    """
    if header.lstrip()[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header.strip()[len(_SCHEME) :].strip()
