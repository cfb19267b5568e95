"""Migrations of the tables to the schema of this version, by alembic from inside the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError

from rtserver.errors import ConfigError

_FOLDER = Path(__file__).parents[1] / "migrations"
_LOCK = 7_273_657_276  # any number, the same in every server; one for each kind of advisory lock


@dataclass(frozen=True, slots=True)
class Migration:
    """From revision `before` (None: no tables yet) to `after`; `steps`: revision and title of each missing one."""

    before: str | None
    after: str
    steps: tuple[str, ...]


def upgrade(connection: sa.Connection) -> Migration:
    """Run the missing migrations in the caller's transaction; servers that start together run one after the other.

    Returns what was done. Raises `ConfigError` where a newer rtserver has created the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    config = _config()
    config.attributes["connection"] = connection
    done = plan(connection)
    command.upgrade(config, "head")
    return done


def plan(connection: sa.Connection) -> Migration:
    """Return what `upgrade` would do. Raises `ConfigError` where a newer rtserver has created the database."""
    return _plan(MigrationContext.configure(connection).get_current_revision())


def plan_for_nothing() -> Migration:
    """Return what `upgrade` would do with a database that does not exist yet."""
    return _plan(None)


def _plan(before: str | None) -> Migration:
    scripts = ScriptDirectory.from_config(_config())
    try:
        missing = list(scripts.iterate_revisions("head", before or "base"))
    except RevisionError:
        raise ConfigError(["the database was made by a newer rtserver; install that version"]) from None
    steps = tuple(f"{each.revision} ({(each.doc or '').rstrip('.')})" for each in reversed(missing))
    return Migration(before, scripts.get_current_head() or "", steps)


def is_due(connection: sa.Connection) -> bool:
    """Whether a migration is missing, or the database is newer than this version."""
    current = MigrationContext.configure(connection).get_current_heads()
    return set(current) != set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
