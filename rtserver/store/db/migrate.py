"""Migrations of the tables to the schema of this version, by alembic from inside the package."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from rtserver.errors import ConfigError

_FOLDER = Path(__file__).parents[1] / "migrations"
_LOCK = 7_273_657_276  # any number, the same in every server; one for each kind of advisory lock


def upgrade(connection: sa.Connection) -> None:
    """Run the missing migrations in the caller's transaction; servers that start together run one after the other.

    Raises `ConfigError` where a newer rtserver has created the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise ConfigError(["the database was made by a newer rtserver; install that version"]) from None


def is_due(connection: sa.Connection) -> bool:
    """Whether a migration is missing, or the database is newer than this version."""
    current = MigrationContext.configure(connection).get_current_heads()
    return set(current) != set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
