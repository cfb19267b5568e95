"""Credentials of `/api/…`: API keys, tokens of services, and for some operations tokens of users.

Owns the decision who may call; must not know how tokens are checked or what the API does. Without a configured key the
API is off: a caller without a service's token gets 404, as for a path that does not exist, and the text says how to
switch it on.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from rtserver.auth.bearer import bearer_token
from rtserver.errors import Forbidden, NotFound, Refused
from rtserver.identity import API_KEY, Identity

SERVICE = frozenset({"service"})
_OFF = (
    "The HTTP API is off: set RTSERVER_API_KEY on the server and send it as `Authorization: Bearer …`, or send a token "
    "with the role service (`rtserver token --sub backend --role service`)"
)


class TokenVerifier(Protocol):
    """Checks tokens."""

    async def verify(self, token: str) -> Identity:
        """Return the identity of a token; raises `Refused` with a code `token_…`."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """`identity` is None for the holder of an API key. `backend`: whether it may act for every user."""

    identity: Identity | None = None
    backend: bool = True

    @property
    def name(self) -> str:
        """The name of the caller in the audit log: that of a user, or `API_KEY`, which no user has."""
        return API_KEY if self.identity is None else self.identity.user

    @property
    def id(self) -> str:
        """The user id, empty for the holder of an API key: by it the calls of each caller are counted."""
        return "" if self.identity is None else self.identity.user


KEY_HOLDER = Caller()


class Credentials:
    """`keys` are the API keys in force (several while they rotate); `tokens` is None where JWTs are not accepted."""

    def __init__(self, keys: Iterable[str] = (), tokens: TokenVerifier | None = None) -> None:
        self._keys = tuple(key.encode() for key in keys if key)
        self._tokens = tokens

    @property
    def are_set(self) -> bool:
        """Whether the API is on: there is a key. Otherwise it does not exist for callers without a service's token."""
        return bool(self._keys)

    async def backend(self, request: web.Request) -> Caller:
        """Return a caller that may do everything; raises `Refused` (401), `Forbidden` or `NotFound` for others."""
        try:
            caller = await self.user(request)
            if not caller.backend:
                raise Forbidden("The role service is needed")
        except (Refused, Forbidden):
            if not self.are_set:
                raise NotFound(_OFF) from None
            raise
        return caller

    async def user(self, request: web.Request) -> Caller:
        """Return a backend, or a user with a valid token; raises `Refused` (401) for others."""
        bearer = _bearer(request)
        if bearer is not None and self._is_key(bearer):
            return KEY_HOLDER
        identity = await self._check_token(bearer)
        return Caller(identity, identity.has_any_role(SERVICE))

    def _is_key(self, bearer: str) -> bool:
        given = bearer.encode("utf-8", "surrogateescape")
        # Every key is compared, so that the time taken does not reveal which one matched.
        matches = [hmac.compare_digest(given, key) for key in self._keys]
        return True in matches

    async def _check_token(self, bearer: str | None) -> Identity:
        if bearer is None:
            raise Refused("Auth failed: send a key or token as `Authorization: Bearer …`", code="token_missing")
        # A JWT has two dots; anything else is meant as a key.
        if self._tokens is None or bearer.count(".") != 2:
            raise Refused("Auth failed: the server has no such key", code="token_invalid")
        return await self._tokens.verify(bearer)


def _bearer(request: web.Request) -> str | None:
    lines = request.headers.getall("Authorization", [""])
    if len(lines) > 1:  # a proxy may have checked the other one
        raise Refused("Auth failed", code="token_invalid")
    return bearer_token(lines[0]) or None
