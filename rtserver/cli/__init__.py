"""The command `rtserver`."""

from rtserver.cli.main import main

__all__ = ["main"]
