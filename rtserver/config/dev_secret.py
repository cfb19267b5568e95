"""Signing secret of development mode: made once and kept in a file, so that tokens survive a restart."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from rtserver import private_files
from rtserver.errors import ConfigError

FILE_NAME = "dev-secret"
_SHORTEST = 32


def dev_secret(folder: Path) -> str:
    """Return the secret of this data folder; make it where there is none. Raises `ConfigError`."""
    path = folder / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        path.chmod(0o600)
    except OSError as error:
        raise _unusable(path, error) from None
    return _read(path)


def existing_dev_secret(folder: Path) -> str | None:
    """Return the secret of this data folder, None where there is none; writes nothing.

    Raises `ConfigError` where the secret cannot be read, or could not be made.
    """
    path = folder / FILE_NAME
    if path.exists():
        return _read(path)
    above = next((each for each in path.absolute().parents if each.exists()), path)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise _unusable(path, PermissionError(0, f"{above} is not writable"))
    return None


def _read(path: Path) -> str:
    try:
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from None
    if len(secret) < _SHORTEST:
        raise ConfigError([f"The development secret {path} is damaged: delete the file, and a new one is made."])
    return secret


def _unusable(path: Path, error: OSError | UnicodeDecodeError) -> ConfigError:
    reason = getattr(error, "strerror", None) or "it is not text"
    return ConfigError([f"The development secret {path} cannot be read or made ({reason}): set RTSERVER_JWT_SECRET."])


def _make(path: Path) -> None:
    """Create the file atomically: several instances may start at once, and the first one's secret is kept."""
    private_files.make_folder(path.parent)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=FILE_NAME + ".")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
