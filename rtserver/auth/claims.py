"""Claims of a verified token → `Identity`. Pure; knows nothing of keys and signatures.

The issuer is trusted to identify users, but not to be free of bugs: claims of another shape are rejected here, before
they become a room name, a row or a log line.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from rtserver.identity import Identity

_LONGEST = 200
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, line and paragraph separators


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """`sub` and `exp` are required; `name`, `roles`, `jti` and `iat` are optional. Raises `ValueError`."""
    return Identity(
        user=_text("sub", claims.get("sub")),
        name=_text("name", claims["name"], empty=True) if "name" in claims else "",
        roles=_roles(claims["roles"]) if "roles" in claims else frozenset(),
        token_id=_text("jti", claims["jti"]) if "jti" in claims else None,
        issued_at=_time("iat", claims["iat"]) if "iat" in claims else None,
        expires_at=_time("exp", claims.get("exp")),
    )


def _text(claim: str, value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or not (value or empty):
        raise ValueError(f"{claim} must be a string of 1 to {_LONGEST} characters")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in value):
        raise ValueError(f"{claim} must not contain control characters")
    return value


def _roles(value: Any) -> frozenset[str]:
    roles = [value] if isinstance(value, str) else value
    if not isinstance(roles, list):
        raise ValueError("roles must be a list of strings")
    return frozenset(_text("roles", role) for role in roles)


def _time(claim: str, value: Any) -> float:
    """NumericDate, RFC 7519 §2: a number; strings and booleans are rejected."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{claim} must be a number of seconds")
    return float(value)
