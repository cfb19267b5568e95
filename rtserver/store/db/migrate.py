"""Migrations of the tables to the schema of this version, by alembic from inside the package.

Most servers start with tables that are up to date. They do not load alembic, which would take a tenth of the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from rtserver.errors import ConfigError
from rtserver.store.db import online_migration

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The revision of the newest migration in `rtserver.store.migrations.versions`."""
_FOLDER = Path(__file__).parents[1] / "migrations"
_VERSION = sa.table("alembic_version", sa.column("version_num"))
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
    if (done := plan(connection)).steps:
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return done


def plan(connection: sa.Connection) -> Migration:
    """Return what `upgrade` would do. Raises `ConfigError` where a newer rtserver has created the database."""
    return plan_from(_revision(connection))


def plan_from(before: str | None) -> Migration:
    """Return what `upgrade` would do with a database of that revision; None is one that does not exist yet."""
    if before == HEAD:
        return Migration(HEAD, HEAD, ())
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError

    try:
        missing = list(ScriptDirectory.from_config(_config()).iterate_revisions("head", before or "base"))
    except RevisionError:
        raise ConfigError(["the database was made by a newer rtserver; install that version"]) from None
    return Migration(before, HEAD, tuple(f"{each.revision} ({(each.doc or '').rstrip('.')})" for each in missing[::-1]))


def is_due(connection: sa.Connection) -> bool:
    """Whether a migration is missing or not finished, or the database is newer than this version."""
    return _revision(connection) != HEAD or not online_migration.is_finished(connection)


def _revision(connection: sa.Connection) -> str | None:
    """Return the revision of the tables, None where there are none."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
