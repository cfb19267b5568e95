"""Claims of a verified token → `Identity`. Pure; knows nothing of keys and signatures.

The issuer is trusted to identify users, but not to be free of bugs. Claims of another shape never become a room name, a
row or a log line:

1. `sub` and `exp` are required: a token is rejected if one of them cannot be used. So it is if `nbf` cannot be read,
   as nobody knows then from when on the token is valid. A `sub` that names no user in the audit is taken by nobody.
2. `name`, `roles`, `jti` and `iat` are optional: null is a missing claim, and what cannot be used is left out and
   reported. That never gives a right: of `roles`, only strings count.
3. Times are seconds since the epoch (NumericDate, RFC 7519 §2). A number so large that it is in milli-, micro- or
   nanoseconds is read as such and reported. Read as seconds, the token would be valid for thousands of years.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtserver.identity import API_KEY, Identity

Report = Callable[[str, str], object]
"""Called with the name of a claim and what is odd about it; the texts are few and contain nothing of the token."""

_LONGEST = 200
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, line and paragraph separators
_YEAR_2200 = 7_258_118_400
_NOT_SECONDS = 10**12
"""The year 33658 in seconds, 2001 in milliseconds."""
_NO_TIME = _NOT_SECONDS * 1000**3
"""More than that is too large even for nanoseconds."""


def identity_of(claims: Mapping[str, Any], report: Report) -> Identity:
    """The identity by rules 1 and 2; raises `ValueError`."""
    user, expires_at = _text("sub", claims.get("sub")), _time("exp", claims.get("exp"), report)
    if user.strip().casefold() == API_KEY:
        raise ValueError(f"sub must not be {API_KEY!r}, the name of the holder of an API key")
    if expires_at > _YEAR_2200:
        report("exp", "it is after the year 2200")
    return Identity(
        user=user,
        name=_optional_text("name", claims.get("name"), report) or "",
        roles=_roles(claims.get("roles"), report),
        token_id=_optional_text("jti", claims.get("jti"), report),
        issued_at=_issued_at(claims.get("iat"), report),
        expires_at=expires_at,
    )


def valid_from(claims: Mapping[str, Any], report: Report) -> float | None:
    """The time from which on the token is valid, if it says so. Digits as text count too. Raises `ValueError`."""
    given = claims.get("nbf")
    if isinstance(given, str) and given.isdecimal():
        given = int(given)
    return None if given is None else _time("nbf", given, report)


def _text(claim: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise ValueError(f"{claim} must be a string of 1 to {_LONGEST} characters")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in value):
        raise ValueError(f"{claim} must not contain control characters")
    return value


def _optional_text(claim: str, value: Any, report: Report) -> str | None:
    """A whole number becomes text."""
    if value is None or value == "":
        return None
    try:
        return _text(claim, str(value) if type(value) is int else value)
    except ValueError as error:
        report(claim, str(error))
        return None


def _roles(value: Any, report: Report) -> frozenset[str]:
    """A list of strings, or one string."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | None):
        report("roles", "roles must be a list of strings")
    roles = (_role(role, report) for role in given) if isinstance(given, list) else ()
    return frozenset(role for role in roles if role is not None)


def _role(value: Any, report: Report) -> str | None:
    try:
        return _text("roles", value)
    except ValueError as error:
        report("roles", str(error))
        return None


def _issued_at(value: Any, report: Report) -> float | None:
    try:
        return None if value is None else _time("iat", value, report)
    except ValueError as error:
        report("iat", str(error))
        return None


def _time(claim: str, value: Any, report: Report) -> float:
    """Seconds, by rule 3."""
    if type(value) not in (int, float) or not abs(value) < _NO_TIME:
        raise ValueError(f"{claim} must be a number of seconds")
    seconds = float(value)
    while seconds >= _NOT_SECONDS:
        report(claim, "it is not in seconds")
        seconds /= 1000
    return seconds


def check_issuer(claims: Mapping[str, Any], accepted: Sequence[str]) -> None:
    """Raise `ValueError` unless `iss` is one of these; none: any."""
    if accepted and (not isinstance(claims.get("iss"), str) or claims["iss"] not in accepted):
        raise ValueError("its issuer is not accepted")


def check_audience(claims: Mapping[str, Any], accepted: Sequence[str]) -> None:
    """Raise `ValueError` unless `aud`, text or a list of it, names one of these; none: any."""
    named = claims.get("aud")
    audience = named if isinstance(named, list) else [named]
    if accepted and (any(not isinstance(name, str) for name in audience) or not set(audience) & set(accepted)):
        raise ValueError("its audience is not accepted")
