"""Signing secret of development mode: made once and kept in a file, so that tokens survive a restart."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

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
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(
            [f"The development secret {path} cannot be read or made ({reason}): set RTSERVER_JWT_SECRET."]
        ) from None
    if len(secret) < _SHORTEST:
        raise ConfigError([f"The development secret {path} is damaged: delete the file, and a new one is made."])
    return secret


def _make(path: Path) -> None:
    """Create the file atomically: several instances may start at once, and the first one's secret is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=FILE_NAME + ".")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
