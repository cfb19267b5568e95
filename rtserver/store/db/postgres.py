"""Postgres: URL and engines.

1. asyncpg gets the URL unchanged, so that all of libpq's options work (sslmode, several hosts). SQLAlchemy does not see
   it, so that its errors and logs cannot show a password.
2. Isolation is READ COMMITTED, whatever the server's default: a statement after a lock must see the changes that the
   lock waited for.
3. Every wait is bounded. The server cancels statements, lock waits and the transaction of a frozen client; a client
   timeout gives up a server that does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rtserver.errors import ConfigError
from rtserver.store.db.dialects import EXPENSIVE_CONNECTIONS, Engines

_CONNECTIONS = 10
_FOR_EXPENSIVE = {
    # An expensive read takes one process of the server at most.
    "max_parallel_workers_per_gather": "0",
    # The planner takes rare words for frequent ones, and would read the table in the hope to meet them soon.
    "enable_seqscan": "off",
}
# Options of libpq that asyncpg would send as server settings, which the server would reject.
_IGNORED = frozenset({"channel_binding", "connect_timeout", "gssencmode", "keepalives"})


def dsn_of(url: str) -> str:
    """The URL as asyncpg takes it; raises `ConfigError`."""
    try:
        parts = urlsplit(url)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _IGNORED]
        if "," not in parts.netloc:
            _ = parts.port
    except ValueError:
        raise ConfigError(["the database URL cannot be read; write postgresql://user:password@host/name"]) from None
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), ""))


def open_engines(url: str, timeout: float | None) -> Engines:
    """`timeout`: seconds for connecting, for a statement and for a transaction; None: no limit."""
    writer = _engine(dsn_of(url), timeout, _CONNECTIONS)
    expensive = _engine(dsn_of(url), timeout, EXPENSIVE_CONNECTIONS, _FOR_EXPENSIVE)
    reader, bounded = (each.execution_options(isolation_level="AUTOCOMMIT") for each in (writer, expensive))
    write = "UPDATE alembic_version SET version_num = version_num"
    errors = (asyncpg.PostgresError, asyncpg.InterfaceError)
    return Engines(writer, reader, bounded, "SELECT 1", write, timeout, errors)


def _engine(dsn: str, timeout: float | None, size: int, settings: Mapping[str, str] | None = None) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connector(dsn, timeout, settings or {}),
        isolation_level="READ COMMITTED",
        pool_size=size,
        max_overflow=0,
        pool_timeout=timeout or 30.0,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _connector(dsn: str, timeout: float | None, more: Mapping[str, str]) -> Callable[[], Awaitable[Any]]:
    limit = str(int((timeout or 0) * 1000))
    settings = {
        "application_name": "rtserver",
        "statement_timeout": limit,
        "idle_in_transaction_session_timeout": limit,
        # A cached plan from the time when a table was empty would scan it until the next ANALYZE.
        "plan_cache_mode": "force_custom_plan",
        # Compiling takes 0.1 s and more; our queries take about 0.01 s.
        "jit": "off",
        **more,
    }

    async def connect() -> Any:
        try:
            return await asyncpg.connect(
                dsn, timeout=timeout or 30.0, command_timeout=timeout, server_settings=settings
            )
        except (ValueError, TypeError) as error:
            raise ConfigError([f"the database URL cannot be used ({type(error).__name__})"]) from None

    return connect
