"""Translation of database errors to the errors of rtserver, in this one place.

Messages of drivers go to the log, first line only (further lines show rows), and never to a client.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import exc

from rtserver.errors import Conflict, EventError, InvalidPayload, Unavailable
from rtserver.telemetry.trouble_log import TroubleLog

_log = structlog.get_logger("rtserver.store")

DriverErrors = tuple[type[Exception], ...]
# SQLSTATE classes of Postgres: data exception, program limit exceeded.
_BAD_DATA = ("22", "54")
_OUT_OF_REACH: DriverErrors = (exc.SQLAlchemyError, sqlite3.Error, OSError)


def new_trouble_log() -> TroubleLog:
    """The log of one kind of work: reading may work while writing fails."""
    return TroubleLog(_log, "database_trouble", "database_recovered")


@contextmanager
def translated(trouble: TroubleLog, of_driver: DriverErrors = ()) -> Iterator[None]:
    """Raise `Unavailable` for a database failure, `InvalidPayload` for a rejected value, `Conflict` for a duplicate.

    An `EventError` raised by a column type is raised as it is. `of_driver`: the driver's errors that SQLAlchemy passes.
    """
    try:
        yield
    except exc.StatementError as error:
        raise _event_error(error, trouble) from None
    except (*_OUT_OF_REACH, *of_driver) as error:
        raise _unavailable(error, trouble) from None
    else:
        if trouble.failures:
            trouble.worked()


def _event_error(error: exc.StatementError, trouble: TroubleLog) -> EventError:
    if isinstance(error.orig, EventError):
        return error.orig
    if isinstance(error, exc.IntegrityError):
        return Conflict()
    if isinstance(error, exc.DataError) or _sqlstate(error).startswith(_BAD_DATA):
        return InvalidPayload("The database rejects a value")
    return _unavailable(error.orig or error, trouble)


def _sqlstate(error: exc.StatementError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _unavailable(error: BaseException, trouble: TroubleLog) -> Unavailable:
    trouble.failed(str(error).partition("\n")[0], error=type(error).__name__)
    return Unavailable("The database is not available at the moment; try again")
