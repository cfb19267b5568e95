"""URLs of other services: checks, and how to show them without passwords."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from rtserver.cluster.redis.address import parse_redis_url

_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):[^\s/]*@")
_IN_QUERY = re.compile(r"([?&][^=&\s]*(?:passw|pwd|secret|token)[^=&\s]*=)[^&\s]*", re.IGNORECASE)
_SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"})


def without_password(url: str) -> str:
    """Return the URL with each password and token replaced by `[hidden]`."""
    return _IN_QUERY.sub(r"\1[hidden]", _PASSWORD.sub(r"\1:[hidden]@", url))


def has_password(url: str) -> bool:
    """Whether the URL contains a password or a token."""
    return without_password(url) != url


def check_redis_url(url: str) -> str:
    """Return the URL; raises `ValueError` where it is no address of a Redis."""
    parse_redis_url(url)
    return url


def check_web_url(url: str) -> str:
    """Return the URL; raises `ValueError` where it is neither https nor this machine."""
    parts = _parts(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.scheme != "https" and (parts.scheme, parts.hostname) not in (("http", "localhost"), ("http", "127.0.0.1")):
        raise ValueError("its scheme must be https")
    return url


def check_webhook_url(url: str) -> str:
    """Return the URL; raises `ValueError` where it is no http or https URL."""
    parts = _parts(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be a URL that begins with https://")
    return url


def is_encrypted_or_local(url: str) -> bool:
    """Whether requests to the URL cannot be read on the way: TLS, or this machine itself."""
    parts = _parts(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def check_database_url(url: str) -> str:
    """Return the URL; raises `ValueError` where the store does not support it. The store picks the driver."""
    parts = _parts(url)
    if parts.scheme in _SQLITE:
        _check_sqlite(parts)
    elif parts.scheme not in _POSTGRES:
        raise ValueError("its scheme must be sqlite or postgresql")
    elif not parts.path.removeprefix("/"):
        raise ValueError("it names no database")
    return url


def _check_sqlite(parts: SplitResult) -> None:
    file = parts.path.removeprefix("/")
    if parts.netloc or not parts.path.startswith("/"):
        raise ValueError("after sqlite: there must be three slashes and the path")
    if not file or file.startswith((":memory:", "file:")):
        raise ValueError("it names no file, and messages must survive a restart")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if "," not in parts.netloc:  # several Postgres hosts, each with a port
            _ = parts.port
    except ValueError:
        # The parser's message repeats parts of the URL, which may be a password.
        raise ValueError("it cannot be read as a URL; special characters in a password are written %XX") from None
    return parts
