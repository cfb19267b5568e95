"""A development server that runs on this machine, as the command line sees it: over HTTP, at the settings' address."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from rtserver.config.dev_secret import fingerprint
from rtserver.config.settings import Settings

_SECONDS = 1.0
_MAX_BYTES = 65_536
_NO_ANSWER = (OSError, HTTPException, ValueError, KeyError, TypeError)
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104  # connected to, not bound


def accepts_secret(settings: Settings, secret: str) -> bool | None:
    """Whether the server at the settings' address signs with this secret; None where there is none that says so."""
    host = _LOOPBACK.get(settings.host, settings.host)
    found = _fingerprint(f"http://{host}:{settings.port}/dev/tokens")
    return None if found is None else found == fingerprint(secret)


def _fingerprint(url: str) -> str | None:
    """Return the fingerprint of the server's secret, which its refusal names: nothing secret is sent there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(*_NO_ANSWER):
        try:
            opener.open(url, timeout=_SECONDS).close()
        except HTTPError as refusal:
            with refusal:
                body: Any = json.loads(refusal.read(_MAX_BYTES))
            found = body["error"]["details"]["secret"]
            return found if isinstance(found, str) else None
    return None
