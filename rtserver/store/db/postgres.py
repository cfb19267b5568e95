"""Postgres: its URL and its engines.

1. The URL goes to asyncpg as it is, so that everything libpq-like in it works (sslmode, several hosts), and it stays
   out of SQLAlchemy, whose errors and logs therefore cannot show a password.
2. READ COMMITTED, whatever the server's default: a statement after a lock must see what the lock waited for.
3. Nothing waits for ever: statements, lock waits and a frozen peer's transaction are all cut by the server, and a
   server that does not answer at all is given up from this side.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from rtserver.errors import ConfigError
from rtserver.store.db.dialects import EnginePair

_CONNECTIONS = 10
_SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2")
# libpq's, which asyncpg would hand to the server as a setting, and the server would refuse.
_IGNORED = frozenset({"channel_binding", "connect_timeout", "gssencmode", "keepalives"})


def is_postgres(url: str) -> bool:
    return url.partition("://")[0].lower() in _SCHEMES


def dsn_of(url: str) -> str:
    """The URL in asyncpg's terms."""
    try:
        parts = urlsplit(url)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _IGNORED]
        if "," not in parts.netloc:
            _ = parts.port
    except ValueError:
        raise ConfigError(["the database URL cannot be read; write postgresql://user:password@host/name"]) from None
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), ""))


def open_engines(url: str, timeout: float | None) -> EnginePair:
    """`timeout`: seconds for a connection, a statement and a transaction; None leaves them unbounded."""
    writer = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connector(dsn_of(url), timeout),
        isolation_level="READ COMMITTED",
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=timeout or 30.0,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    reader = writer.execution_options(isolation_level="AUTOCOMMIT")
    return EnginePair(writer, reader, "SELECT 1", timeout)


def _connector(dsn: str, timeout: float | None) -> Callable[[], Awaitable[Any]]:
    limit = str(int((timeout or 0) * 1000))
    settings = {
        "application_name": "rtserver",
        "statement_timeout": limit,
        "idle_in_transaction_session_timeout": limit,
        # A plan kept from when the tables were empty would scan them until the next ANALYZE.
        "plan_cache_mode": "force_custom_plan",
        # Compiling takes a tenth of a second and more; what we ask is answered in a hundredth.
        "jit": "off",
    }

    async def connect() -> Any:
        try:
            return await asyncpg.connect(
                dsn, timeout=timeout or 30.0, command_timeout=timeout, server_settings=settings
            )
        except (ValueError, TypeError) as error:
            raise ConfigError([f"the database URL cannot be used ({type(error).__name__})"]) from None

    return connect
