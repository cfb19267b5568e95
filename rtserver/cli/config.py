"""`rtserver config`: checks, shows and documents the settings. Must not know other commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from rtserver.cli.flags import with_flags
from rtserver.config.reference import GROUPS, markdown, written
from rtserver.config.settings import Settings
from rtserver.config.sources import variable
from rtserver.config.urls import without_password
from rtserver.errors import ConfigError
from rtserver.process.startup import FAILED, load_settings, stop_for
from rtserver.telemetry import log_config

app = typer.Typer(no_args_is_help=True, help="Check, show and explain the settings.", rich_markup_mode="rich")
_HIDDEN = "[hidden]"


_CONNECT = typer.Option("--connect", help="Also log in to the database, Redis and the brokers that are configured.")
_TIMEOUT = typer.Option("--timeout", help="Seconds that each of them may take.", min=0.1, max=600)


def check(
    flags: Mapping[str, Any], *, connect: Annotated[bool, _CONNECT] = False, timeout: Annotated[float, _TIMEOUT] = 5.0
) -> None:
    """List [bold]every[/bold] fault in the settings at once, and load the namespaces as [bold]serve[/bold] does.

    Nothing is started and nothing is written.
    The exit code is 0 when the server can start with them, and 1 when it cannot.
    """
    settings = load_settings(flags, exit_code=FAILED)
    log_config.configure("error", settings.log_format)
    faults = _faults(settings, timeout if connect else None)
    for warning in settings.warnings():
        typer.echo(f"warning: {warning}", err=True)
    if faults:
        stop_for(ConfigError(faults), exit_code=FAILED)
    typer.echo(f"The settings are good for {settings.mode} mode.")
    if connect:
        typer.echo("The database and every other configured service can be used.")


def _faults(settings: Settings, timeout: float | None) -> list[str]:
    from rtserver.app import preflight

    faults = []
    try:
        preflight.compose(settings)
    except ConfigError as error:
        faults += error.faults
    return faults if timeout is None else [*faults, *asyncio.run(preflight.unreachable(settings, timeout))]


def env(flags: Mapping[str, Any]) -> None:
    """Show the value and the source of every setting; secrets and passwords are hidden."""
    settings = load_settings(flags, exit_code=FAILED)
    lines = list(_lines(settings))
    width = min(max(len(line) for line, _ in lines), 60)
    for line, source in lines:
        typer.echo(f"{line:<{width}}  # {source}")


@app.command()
def doc() -> None:
    """Print the settings' reference, docs/settings.md, as Markdown."""
    typer.echo(markdown(), nl=False)


app.command("check")(with_flags(check))
app.command("env")(with_flags(env))


def _lines(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in (name for names in GROUPS.values() for name in names):
        found = settings.found(name)
        source = found.source if found.name == variable(name) else f"{found.source} {found.name}"
        yield f"{variable(name)}={_shown(name, getattr(settings, name))}", source


def _shown(name: str, value: Any) -> str:
    if name == "jwt_public_key" and value is not None:
        return "[PEM]"
    if name in ("redis_url", "database_url") and isinstance(value, SecretStr):
        return without_password(value.get_secret_value())
    if isinstance(value, SecretStr):
        return _HIDDEN
    if isinstance(value, tuple) and value and isinstance(value[0], SecretStr):
        return ",".join(_HIDDEN for _ in value)
    return written(value)
