"""The command `rtserver`: flags, output and exit codes. The work is done in `process`, `workers` and below."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any

import typer

from rtserver.auth.claims import identity_of
from rtserver.auth.issuer import issue
from rtserver.cli import config
from rtserver.cli.emit import emit
from rtserver.cli.flags import with_flags
from rtserver.config.settings import Settings
from rtserver.errors import ConfigError, Unavailable
from rtserver.process.startup import FAILED, LOG_HINT, USAGE, load_settings, stop, stop_for, stop_start
from rtserver.telemetry import log_config

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A ready-to-run Socket.IO server: chat, notifications and admin out of the box, your own namespaces too.",
    epilog="Exit codes: 0 done · 1 the settings cannot be used or the work failed · 2 wrong usage",
)
database = typer.Typer(no_args_is_help=True, help="Maintain the database.", rich_markup_mode="rich")
app.add_typer(config.app, name="config")
app.add_typer(database, name="db")

_TTL = re.compile(r"([1-9][0-9]{0,8})([smhdw]?)")
_TTL_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtserver {version('rtserver')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def serve(flags: Mapping[str, Any]) -> None:
    """Run the server.

    Each setting is a flag, an environment variable RTSERVER_… or a line of the file .env; the first of these wins.
    Secrets have no flag. [bold]rtserver config check[/bold] lists what would keep the server from starting.
    """
    settings = load_settings(flags, exit_code=FAILED)
    log_config.configure(settings.log_level, settings.log_format)
    try:
        if settings.workers > 1:
            from rtserver.workers.supervisor import supervise

            raise typer.Exit(supervise(settings, flags))
        from rtserver.process.serve import run_standalone

        run_standalone(settings)
    except (ConfigError, Unavailable) as error:
        stop_start(error)


app.command("serve")(with_flags(serve))
app.command("emit")(emit)


@app.command()
def token(
    sub: Annotated[str, typer.Option(help="The user's id.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role, such as admin; may be given several times.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: 90s, 15m, 1h, 7d, 2w.")] = "1h",
) -> None:
    """Print a token, signed with the first secret of RTSERVER_JWT_SECRET.

    Standard output has nothing else: [bold]TOKEN=$(rtserver token --sub alice --role admin)[/bold].
    """
    seconds = _seconds(ttl)
    _check_claims(sub, name, role or [], seconds)
    settings = load_settings({}, exit_code=USAGE)
    typer.echo(_signed(settings, sub, name, role or [], seconds))


@database.command()
def upgrade() -> None:
    """Upgrade the tables of RTSERVER_DATABASE_URL to this version.

    It is safe to run it again, and on several servers at once.
    """
    settings = load_settings({}, exit_code=FAILED)
    log_config.configure(settings.log_level, settings.log_format)
    try:
        asyncio.run(_upgrade(settings))
    except ConfigError as error:
        stop_for(error, exit_code=FAILED)
    except Unavailable as error:
        stop(f"The database cannot be upgraded: {error.message}. {LOG_HINT}", exit_code=FAILED)
    typer.echo("The database is up to date.")


def _seconds(ttl: str) -> int:
    match = _TTL.fullmatch(ttl.strip().lower())
    if match is None:
        stop(f"--ttl must be a number and a unit, such as 90s, 15m, 1h, 7d or 2w, not {ttl!r}.", exit_code=USAGE)
    return int(match[1]) * _TTL_SECONDS[match[2]]


def _check_claims(sub: str, name: str | None, roles: list[str], seconds: int) -> None:
    """End the command where every server would reject the token, or ignore a part of it."""

    def ignored(claim: str, reason: str) -> None:
        raise ValueError(f"of {claim}, {reason}" if claim == "exp" else reason)

    try:
        identity_of({"sub": sub, "name": name, "roles": roles, "exp": time.time() + seconds}, ignored)
    except ValueError as error:
        stop(f"The server would not take this token as it is: {error}.", exit_code=USAGE)


def _signed(settings: Settings, sub: str, name: str | None, roles: list[str], seconds: int) -> str:
    try:
        secret = settings.signing_secret()
    except ConfigError as error:
        stop(*error.faults, exit_code=USAGE)
    return issue(
        secret,
        sub=sub,
        name=name,
        roles=roles,
        ttl=seconds,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        algorithm=settings.signing_algorithm,
    )


async def _upgrade(settings: Settings) -> None:
    from rtserver.store.db.database import Database

    store = Database(settings.database_url.get_secret_value(), timeout=settings.database_timeout)
    try:
        await store.connect()
        await store.migrate()
    finally:
        await store.close()


def main() -> None:
    """Run the command."""
    app(prog_name="rtserver")
