"""`rtserver config`: checks, shows and documents the settings. Must not know other commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from pydantic import SecretStr

from rtserver.cli.flags import with_flags
from rtserver.config.reference import GROUPS, markdown, written
from rtserver.config.settings import Settings
from rtserver.config.sources import variable
from rtserver.config.urls import without_password
from rtserver.process.startup import FAILED, load_settings

app = typer.Typer(no_args_is_help=True, help="Check, show and explain the settings.", rich_markup_mode="rich")
_HIDDEN = "[hidden]"


def check(flags: Mapping[str, Any]) -> None:
    """List [bold]every[/bold] fault in the settings at once.

    The exit code is 0 when the server can start with them, and 1 when it cannot.
    """
    settings = load_settings(flags, exit_code=FAILED)
    for warning in settings.warnings():
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"The settings are good for {settings.mode} mode.")


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
