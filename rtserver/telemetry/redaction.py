"""Redaction of secrets in log records. No I/O; must not know how lines are written.

1. A secret is recognised by its form, wherever it occurs: a JWT, `Bearer …`, `token=…`, `Cookie: …`, the password of a
   URL, the session id in one (`?sid=…`), which gives access to the session.
2. A value is redacted if the name of its key suggests a secret.
3. In doubt, text is redacted: a missing word is an inconvenience, a logged secret is a leak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
_DEEPEST = 8
_MOST_ITEMS = 100
_LONGEST = 20_000

_SECRET_KEY = re.compile(
    r"token|secret|passw|pwd|api[-_]?key|authorization|cookie|credential|private[-_]?key|jwt", re.IGNORECASE
)

# The first part of a JWT is base64url of a JSON object, `{"`, `{ ` or `{\n`. The rest may have been cut off. Words are
# checked one by one: a single pattern would scan a long word again from each position where a JWT might begin.
_WORD = re.compile(r"[A-Za-z0-9_=-]{9,}+(?:\.[A-Za-z0-9_=-]*+)*+")
_JWT_START = re.compile(r"e(?:yJ|yA|wo|w0)[A-Za-z0-9_-]{6}")
_JWT_ALONE = re.compile(r"eyJ[A-Za-z0-9_-]{16}")
_COOKIES = re.compile(r"""(\b(?:set-)?cookie\b["']?\s*[:=,]\s*b?["']?)[^\r\n]+""", re.IGNORECASE)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest)(\s+|%20|\+)[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_NAMED = re.compile(
    r"""((?:token|secret|passw(?:or)?d|pwd|api[-_]?key|apikey|authorization|jwt)[\w-]{0,20}"""
    r"""(?:["']?\s{0,3}(?:=|:|%3D)\s{0,3}b?["']?|["']\s{0,3},\s{0,3}b?["']))"""
    r"""((?:(?:Bearer|Basic|Digest)\s+)?[^\s"'&;,)}\]]+)""",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^\s/:@\"']*):[^\s/\"']+@")
_SESSION = re.compile(r"""([?&]sid(?:=|%3D))[^\s&"'<>]+""", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def redact_text(text: str) -> str:
    """Return `text` without anything that looks like a secret, cut to the length that a log line may have."""
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    text = _PEM.sub(REDACTED, text)
    text = _COOKIES.sub(rf"\1{REDACTED}", text)
    text = _NAMED.sub(rf"\1{REDACTED}", text)
    text = _SESSION.sub(rf"\1{REDACTED}", text)
    text = _SCHEME.sub(rf"\1 {REDACTED}", text)
    text = _WORD.sub(_without_jwt, text)
    return _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)


def _without_jwt(word: re.Match[str]) -> str:
    text = word.group()
    start = _JWT_START.search(text, 0, max(text.rfind("."), 0)) or _JWT_ALONE.search(text)
    return text if start is None else text[: start.start()] + REDACTED


def redact(value: Any, key: object = "", depth: int = 0) -> Any:
    """Return `value` as plain data (text, numbers, lists, dicts) without secrets. `key` is the name of the value."""
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEY.search(str(key)):
        return REDACTED
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _DEEPEST:
        return "…"
    return _container(value, depth + 1)


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MOST_ITEMS]
        return {redact_text(str(name)): redact(item, name, depth) for name, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(list(value)[:_MOST_ITEMS], depth)
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value[:_LONGEST]).decode("utf-8", "backslashreplace"))
    return redact_text(_repr(value))


def _sequence(items: list[Any], depth: int) -> list[Any]:
    """Redact a list. A pair such as `("authorization", "…")`, as in raw headers, counts as a key and its value."""
    if len(items) == 2 and isinstance(items[0], str | bytes):
        name = items[0] if isinstance(items[0], str) else items[0].decode("latin-1")
        return [redact(name, "", depth), redact(items[1], name, depth)]
    return [redact(item, "", depth) for item in items]


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  a log line must not fail because of an object in it
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
