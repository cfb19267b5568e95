"""Finds the token that a client offers and has it checked. Does not know how a token is checked, or what it allows.

The first place that holds a token decides: a bad token is refused there, whatever stands in the next place.

1. the CONNECT payload, `io(url, {auth: {token}})`;  2. `Authorization: Bearer …` on the handshake;
3. the cookie, where one is configured;              4. `?token=…`, where it is switched on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rtserver.auth.bearer import bearer_token
from rtserver.auth.verifier import MESSAGE, invalid
from rtserver.errors import Refused
from rtserver.identity import Identity


class Offer(Protocol):
    """What is looked at of a handshake: the names of `headers` are lower-case, `auth` is the CONNECT payload."""

    @property
    def auth(self) -> Mapping[str, Any] | None: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def query(self) -> Mapping[str, str]: ...


class Verifier(Protocol):
    """Checks a token; raises Refused."""

    async def verify(self, token: str) -> Identity: ...


class TokenAuthenticator:
    """The authenticator of the server: handshake → identity."""

    def __init__(
        self,
        verifier: Verifier,
        *,
        cookie_name: str | None = None,
        allow_query: bool = False,
        revocations: Revocations | None = None,
    ) -> None:
        self._verifier = verifier
        self._cookie_name = cookie_name
        self._allow_query = allow_query
        self._revocations = revocations or NoRevocations()

    async def authenticate(self, handshake: Offer) -> Identity | None:
        """Whose connection this is; None where no token is offered. Raises Refused with a code `token_…`."""
        token = self._find(handshake)
        if token is None:
            return None
        identity = await self._verifier.verify(token)
        if await self._revocations.revoked(identity):
            raise Refused(MESSAGE, code="token_revoked")
        return identity

    def _find(self, handshake: Offer) -> str | None:
        found = _in_payload(handshake.auth) or bearer_token(handshake.headers.get("authorization", ""))
        if not found and self._cookie_name is not None:
            found = _in_cookies(handshake.headers.get("cookie", ""), self._cookie_name)
        if not found and self._allow_query:
            found = handshake.query.get("token")
        return found or None


def _in_payload(auth: Mapping[str, Any] | None) -> str | None:
    """An empty token or null is none: that is what a page sends whose user has not signed in."""
    token = auth.get("token") if isinstance(auth, Mapping) else None
    if token is None:
        return None
    if not isinstance(token, str):
        raise invalid("it is not a text")
    bearer = bearer_token(token)
    return token.strip() if bearer is None else bearer


def _in_cookies(header: str, name: str) -> str | None:
    """The first cookie of that name. `http.cookies` drops everything after the first cookie that it dislikes."""
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key.strip() == name:
            return value.strip().strip('"')
    return None


class Revocations(Protocol):
    """Asked for every connection that shows a token which is good otherwise."""

    async def revoked(self, identity: Identity) -> bool: ...


class NoRevocations:
    """Every token is good until it expires."""

    async def revoked(self, identity: Identity) -> bool:
        return False
