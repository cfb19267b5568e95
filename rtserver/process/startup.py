"""Failing commands: sentences on standard error and an exit code. Must not know the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import typer

from rtserver.config.settings import Settings
from rtserver.errors import ConfigError, Unavailable

FAILED: Final = 1
"""The settings cannot be used, or a service that the command needs did not answer."""
USAGE: Final = 2
"""The command line is wrong, or the command does not work with these settings."""
LOG_HINT: Final = "The log above has the reason; `rtserver config env` shows the settings in force."


def stop(*sentences: str, exit_code: int) -> NoReturn:
    """Print the sentences, each on a line, and end the command."""
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(exit_code)


def stop_for(error: ConfigError, *, exit_code: int) -> NoReturn:
    """Print every fault and end the command."""
    count = len(error.faults)
    head = "There is a fault in the settings:" if count == 1 else f"There are {count} faults in the settings:"
    stop(head, *(f"  - {fault}" for fault in error.faults), exit_code=exit_code)


def stop_start(error: ConfigError | Unavailable) -> NoReturn:
    """End a command whose server cannot start."""
    if isinstance(error, ConfigError):
        stop_for(error, exit_code=FAILED)
    stop(f"The server cannot start: {error.message}. {LOG_HINT}", exit_code=FAILED)


def load_settings(flags: Mapping[str, Any], *, exit_code: int) -> Settings:
    """Read the settings; end the command with all their faults where they cannot be used."""
    try:
        return Settings(**flags)
    except ConfigError as error:
        stop_for(error, exit_code=exit_code)
