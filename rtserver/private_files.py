"""Private files: folders and files that other users of the machine cannot read, whatever the umask of the server.

What is created belongs to the server's user alone. What exists already keeps the rights of its group, which somebody
may have chosen, but loses those of everybody else.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(folder: Path) -> None:
    """Make the folder, and those above it that are missing; each of them is private. Raises `OSError`."""
    for missing in [each for each in reversed((folder, *folder.parents)) if not each.exists()]:
        missing.mkdir(FOLDER_MODE, exist_ok=True)


def open_new(path: str | Path, flags: int = os.O_WRONLY) -> int:
    """Create the file and return its descriptor; also as an `opener`. Raises `FileExistsError` where it exists."""
    return os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def close_to_others(path: Path) -> None:
    """Take the rights of others from what exists; nothing happens where it belongs to another user, or is not there."""
    with suppress(FileNotFoundError, PermissionError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & stat.S_IRWXO:
            path.chmod(mode & ~stat.S_IRWXO)
