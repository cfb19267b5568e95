"""`rtserver db`: maintains the tables. Must not know other commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from rtserver.config.settings import Settings
from rtserver.config.urls import without_password
from rtserver.errors import ConfigError, Unavailable
from rtserver.process.startup import FAILED, LOG_HINT, load_settings, stop, stop_for
from rtserver.telemetry import log_config

if TYPE_CHECKING:
    from rtserver.store.db.migrate import Migration

app = typer.Typer(no_args_is_help=True, help="Maintain the database.", rich_markup_mode="rich")


@app.callback()
def _commands() -> None:
    pass


@app.command()
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Upgrade the tables of RTSERVER_DATABASE_URL to this version.

    It is safe to run it again, and on several servers at once.
    """
    settings = load_settings({}, exit_code=FAILED)
    log_config.configure(settings.log_level, settings.log_format)
    try:
        migration = asyncio.run(_upgrade(settings, dry_run=dry_run))
    except ConfigError as error:
        stop_for(error, exit_code=FAILED)
    except Unavailable as error:
        stop(f"The database cannot be upgraded: {error.message}. {LOG_HINT}", exit_code=FAILED)
    for sentence in _told(migration, without_password(settings.database_url.get_secret_value()), dry_run=dry_run):
        typer.echo(sentence)


def _told(migration: Migration, url: str, *, dry_run: bool) -> list[str]:
    if not migration.steps:
        return [f"The database is up to date: {url} is at revision {migration.after}, there is nothing to do."]
    before = f"revision {migration.before}" if migration.before else "no tables"
    verb = "would be upgraded" if dry_run else "was upgraded"
    steps = [f"  {step}" for step in migration.steps]
    last = "Nothing was changed: this was a dry run." if dry_run else "The database is up to date."
    return [f"{url} {verb} from {before} to revision {migration.after}:", *steps, last]


async def _upgrade(settings: Settings, *, dry_run: bool) -> Migration:
    from rtserver.store.db.database import Database

    store = Database(settings.database_url.get_secret_value(), timeout=settings.database_timeout)
    try:
        if dry_run:
            return await store.pending()
        await store.connect()
        return await store.migrate()
    finally:
        await store.close()
