"""Authenticator: finds the token in a handshake and has it verified. Knows neither verification nor permissions.

The token is looked up in this order. The first place that has one decides: an invalid token is rejected there, whatever
the next places contain.

1. the CONNECT payload, `io(url, {auth: {token}})`;  2. `Authorization: Bearer …` of the handshake;
3. the cookie, where one is configured;              4. `?token=…`, where it is enabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rtserver.auth.bearer import bearer_token
from rtserver.auth.verifier import MESSAGE, invalid
from rtserver.errors import Refused
from rtserver.identity import Identity
from rtserver.protocol.cookies import cookie_value


class Offer(Protocol):
    """The parts of a handshake that may have a token. `headers`: lower-case names. `auth`: the CONNECT payload."""

    @property
    def auth(self) -> Mapping[str, Any] | None: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def query(self) -> Mapping[str, str]: ...


class Verifier(Protocol):
    """Verifies a token; raises `Refused`."""

    async def verify(self, token: str) -> Identity: ...


class TokenAuthenticator:
    """Handshake → identity. `revocations`: a placeholder, see `Revocations`."""

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
        """The identity of the client; None without a token. Raises `Refused` with a code `token_…`."""
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
            found = cookie_value(handshake.headers.get("cookie", ""), self._cookie_name)
        if not found and self._allow_query:
            found = handshake.query.get("token")
        return found or None


def _in_payload(auth: Mapping[str, Any] | None) -> str | None:
    """An empty token and null count as no token: pages send them before the user signs in."""
    token = auth.get("token") if isinstance(auth, Mapping) else None
    if token is None:
        return None
    if not isinstance(token, str):
        raise invalid("it is not a string")
    bearer = bearer_token(token)
    return token.strip() if bearer is None else bearer


class Revocations(Protocol):
    """Checked for every connection with an otherwise valid token.

    A placeholder: rtserver has no implementation but `NoRevocations` yet, and no setting for one.
    """

    async def revoked(self, identity: Identity) -> bool: ...


class NoRevocations:
    """The only implementation so far: every token is valid until it expires."""

    async def revoked(self, identity: Identity) -> bool:
        return False
