"""Signing secret of development mode: made once and kept in a file, so that tokens survive a restart.

The key of the demo pages is derived from the secret: with it a page gets ready-made tokens, see
`rtserver.http.pages.dev_tokens`.
"""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rtserver import private_files
from rtserver.errors import ConfigError

FILE_NAME = "dev-secret"
LINK_NAME = "dev-link"
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


def page_key(secret: str) -> str:
    """Return the key of the demo pages. The secret cannot be found from it."""
    return _derived(secret, "key of the demo pages")


def fingerprint(secret: str) -> str:
    """Return a text by which two secrets can be compared without showing them."""
    return _derived(secret, "fingerprint")


def keep_link(folder: Path, link: str) -> Path | None:
    """Write the link to the demo pages, with their key, to a file of this user alone; None where that fails."""
    path = folder.absolute() / LINK_NAME
    try:
        with _draft(path, link) as draft:
            os.replace(draft, path)
    except OSError:
        return None
    return path


def _derived(secret: str, purpose: str) -> str:
    digest = hmac.digest(secret.encode(), f"rtserver {purpose}".encode(), "sha256")
    return urlsafe_b64encode(digest[:18]).decode()


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
    with _draft(path, secrets.token_urlsafe(48)) as draft, suppress(FileExistsError):
        os.link(draft, path)


@contextmanager
def _draft(path: Path, text: str) -> Iterator[str]:
    """Write a file of this user alone, from which `path` is to be made; it is removed in the end."""
    private_files.make_folder(path.parent)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
        yield draft
    finally:
        Path(draft).unlink(missing_ok=True)
