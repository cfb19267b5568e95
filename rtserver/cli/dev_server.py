"""A development server that runs on this machine, as the command line sees it: over HTTP, at the settings' address."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import jwt

from rtserver.auth.keys import HMAC
from rtserver.config.settings import Settings

_SECONDS = 1.0
_MAX_BYTES = 65_536
_NO_ANSWER = (OSError, HTTPException, ValueError, KeyError, TypeError)
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104  # connected to, not bound


def accepts_secret(settings: Settings, secret: str) -> bool | None:
    """Whether the server at the settings' address signs with this secret; None where there is none that says so."""
    host = _LOOPBACK.get(settings.host, settings.host)
    token = _ready_token(f"http://{host}:{settings.port}/dev/tokens")
    if token is None:
        return None
    try:
        jwt.decode(token, secret, algorithms=list(HMAC), options={"verify_aud": False})
    except jwt.InvalidSignatureError:
        return False
    except jwt.InvalidTokenError:
        return None
    return True


def _ready_token(url: str) -> str | None:
    """Return a token that the server has made."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(*_NO_ANSWER), opener.open(url, timeout=_SECONDS) as answer:
        body: Any = json.loads(answer.read(_MAX_BYTES))
        found = body["admin"]["token"]
        return found if isinstance(found, str) else None
    return None
