"""Translation of database errors to the errors of rtserver, in this one place.

Messages of drivers go to the log, first line only (further lines show rows), and never to a client.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import structlog
from sqlalchemy import exc

from rtserver.errors import Conflict, EventError, InvalidPayload, Unavailable

_log = structlog.get_logger("rtserver.store")

# SQLSTATE classes of Postgres: data exception, program limit exceeded.
_BAD_DATA = ("22", "54")
_OUT_OF_REACH = (exc.SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error, OSError)


@contextmanager
def translated() -> Iterator[None]:
    """Raise `Unavailable` for a database failure, `InvalidPayload` for a rejected value, `Conflict` for a duplicate.

    An `EventError` raised by a column type is raised as it is.
    """
    try:
        yield
    except exc.StatementError as error:
        raise _event_error(error) from None
    except _OUT_OF_REACH as error:
        raise _unavailable(error) from None


def _event_error(error: exc.StatementError) -> EventError:
    if isinstance(error.orig, EventError):
        return error.orig
    if isinstance(error, exc.IntegrityError):
        return Conflict()
    if isinstance(error, exc.DataError) or _sqlstate(error).startswith(_BAD_DATA):
        return InvalidPayload("The database rejects a value")
    return _unavailable(error.orig or error)


def _sqlstate(error: exc.StatementError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _unavailable(error: BaseException) -> Unavailable:
    reason = str(error).partition("\n")[0]
    _log.warning("database_trouble", error=type(error).__name__, reason=reason[:300])
    return Unavailable("The database is not available at the moment; try again")
