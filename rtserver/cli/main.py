"""The command `rtserver`: flags, output and exit codes. The work is done in `process`, `workers` and below.

Of the subcommands only the one that is called is loaded: each has its own flags and modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Annotated, Any

import typer

from rtserver.cli.flags import with_flags
from rtserver.errors import ConfigError, Unavailable
from rtserver.process.startup import FAILED, load_settings, stop_start
from rtserver.telemetry import log_config

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A ready-to-run Socket.IO server: chat, notifications and admin out of the box, your own namespaces too.",
    epilog="Exit codes: 0 done · 1 the settings cannot be used or the work failed · 2 wrong usage",
)


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


def _add_config() -> None:
    from rtserver.cli import config

    app.add_typer(config.app, name="config")


def _add_database() -> None:
    from rtserver.cli import database

    app.add_typer(database.app, name="db")


def _add_serve() -> None:
    app.command("serve")(with_flags(serve))


def _add_emit() -> None:
    from rtserver.cli.emit import emit

    app.command("emit")(emit)


def _add_token() -> None:
    from rtserver.cli.token import token

    app.command("token")(token)


_COMMANDS: Mapping[str, Callable[[], None]] = {
    "config": _add_config, "db": _add_database, "serve": _add_serve, "emit": _add_emit, "token": _add_token,
}  # fmt: skip


def main() -> None:
    """Run the command."""
    called = _COMMANDS.get("".join(sys.argv[1:2]))
    for add in _COMMANDS.values() if called is None else [called]:
        add()
    app(prog_name="rtserver")
