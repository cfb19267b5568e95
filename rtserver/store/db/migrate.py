"""Migrations of the tables to the schema of this version, by alembic from inside the package.

Most servers start with tables that are up to date. They do not load alembic, which would take a tenth of the start.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from rtserver.errors import ConfigError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0006"
"""The revision of the newest migration in `rtserver.store.migrations.versions`."""
_FOLDER = Path(__file__).parents[1] / "migrations"
_VERSION = sa.table("alembic_version", sa.column("version_num"))
_LOCK = 7_273_657_276  # any number, the same in every server; one for each kind of advisory lock


def upgrade(connection: sa.Connection) -> None:
    """Run the missing migrations in the caller's transaction; servers that start together run one after the other.

    Raises `ConfigError` where a newer rtserver has created the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    if not is_due(connection):
        return
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise ConfigError(["the database was made by a newer rtserver; install that version"]) from None


def is_due(connection: sa.Connection) -> bool:
    """Whether a migration is missing, or the database is newer than this version."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return True
    return list(connection.execute(sa.select(_VERSION.c.version_num)).scalars()) != [HEAD]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
