"""The cookie with the session id that a server may set at the handshake, for load balancers that route by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cookie_header(cookie: str | Mapping[str, Any], sid: str) -> str:
    """`cookie` is its name, or `{"name": …}` with attributes: a text, True for one without value, or a function."""
    if isinstance(cookie, str):
        cookie = {"name": cookie, "path": "/", "SameSite": "Lax", "HttpOnly": True}
    parts = [f"{cookie.get('name', 'io')}={sid}"]
    for attribute, value in cookie.items():
        if attribute == "name":
            continue
        value = value() if callable(value) else value
        if value is True:
            parts.append(attribute)
        elif value not in (False, None):
            parts.append(f"{attribute}={value}")
    return "; ".join(parts)
