"""Who may use `/api/…`: holders of an API key, and services with a token.

Owns that decision; must not know how tokens are checked or what the API does. With no key configured the API is off:
whoever does not show a service's token gets the 404 of a path that does not exist.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Protocol

from aiohttp import web

from rtserver.errors import Forbidden, NotFound, Refused
from rtserver.identity import Identity

SERVICE = frozenset({"service"})


class Verifying(Protocol):
    """Checks a token."""

    async def verify(self, token: str) -> Identity:
        """Whose token it is; raises `Refused` with a code `token_…`."""
        ...


class Credentials:
    """`keys` are the API keys in force (several while they rotate); `tokens` is None where JWTs are not accepted."""

    def __init__(self, keys: Iterable[str] = (), tokens: Verifying | None = None) -> None:
        self._keys = tuple(key.encode() for key in keys if key)
        self._tokens = tokens

    async def check(self, request: web.Request) -> None:
        """Return for a caller that may use the API; raise `Refused` (401), `Forbidden` or `NotFound` else."""
        bearer = _bearer(request)
        if bearer is not None and self._is_key(bearer):
            return
        try:
            await self._check_token(bearer)
        except (Refused, Forbidden):
            if not self._keys:
                raise NotFound from None
            raise

    def _is_key(self, bearer: str) -> bool:
        given = bearer.encode("utf-8", "surrogateescape")
        # Every key is compared, so that the time taken does not tell which one it was.
        matches = [hmac.compare_digest(given, key) for key in self._keys]
        return True in matches

    async def _check_token(self, bearer: str | None) -> None:
        if bearer is None:
            raise Refused("Auth failed", code="token_missing")
        # A JWT has two dots; anything else was meant as a key.
        if self._tokens is None or bearer.count(".") != 2:
            raise Refused("Auth failed", code="token_invalid")
        identity = await self._tokens.verify(bearer)
        if not identity.has_any_role(SERVICE):
            raise Forbidden("The role service is needed")


def _bearer(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
