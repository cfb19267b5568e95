"""How a command ends when it cannot do its work: a sentence on standard error and an exit code. Knows no command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import typer

from rtserver.config.settings import Settings
from rtserver.errors import ConfigError, Unavailable

FAILED: Final = 1
"""The settings cannot be used, or something that was needed did not answer."""
USAGE: Final = 2
"""The command was given wrongly, or cannot be carried out with these settings."""
WHY: Final = "The log above says why; `rtserver config env` shows the settings in force."


def stop(*sentences: str, code: int) -> NoReturn:
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(code)


def stop_for(error: ConfigError, *, code: int) -> NoReturn:
    """List every fault."""
    count = len(error.faults)
    head = "There is a fault in the settings:" if count == 1 else f"There are {count} faults in the settings:"
    stop(head, *(f"  - {fault}" for fault in error.faults), code=code)


def stop_start(error: ConfigError | Unavailable) -> NoReturn:
    """For a server that cannot start."""
    if isinstance(error, ConfigError):
        stop_for(error, code=FAILED)
    stop(f"The server cannot start: {error.message}. {WHY}", code=FAILED)


def loaded(flags: Mapping[str, Any], *, code: int) -> Settings:
    """The settings, or the end of the command with all their faults."""
    try:
        return Settings(**flags)
    except ConfigError as error:
        stop_for(error, code=code)
