"""Token verifier: JWTs (RFC 7519), by the recommendations of RFC 8725. Does not know where a token was found.

1. The allowed algorithms are those of the configured key. The header of a token only selects among them; `none` is not
   an algorithm.
2. Any input leads to an `Identity` or to `Refused`.
3. The reason of a rejection goes to the log, for the operator. The client learns "expired" or "invalid", nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import jwt
import structlog

from rtserver.auth.claims import identity_of
from rtserver.auth.keys import Key
from rtserver.errors import Refused
from rtserver.identity import Identity

log = structlog.get_logger("rtserver.auth")

MAX_TOKEN_LENGTH = 8 * 1024
MESSAGE = "Auth failed"
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError)


def invalid(reason: str) -> Refused:
    """The error for a token that is invalid for any reason but its age. Logs `reason`."""
    log.info("token_refused", code="token_invalid", reason=reason)
    return Refused(MESSAGE, code="token_invalid")


class TokenVerifier:
    """`keys` are tried in order. `audience`, `issuer`: one must match; empty: not checked. `leeway`: seconds."""

    def __init__(
        self,
        keys: Sequence[Key] | KeySource,
        *,
        audience: Sequence[str] = (),
        issuer: Sequence[str] = (),
        leeway: float = 10.0,
    ) -> None:
        self._keys = FixedKeys(keys) if isinstance(keys, Sequence) else keys
        self._audience = list(audience)
        self._issuer = list(issuer)
        self._leeway = leeway

    async def verify(self, token: str) -> Identity:
        """The identity of the token. Raises `Refused` with the code `token_expired` or `token_invalid`."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise invalid("it is too long")
        header = _header_of(token)
        fitting = [key for key in await self._keys.keys_for(header) if header["alg"] in key.algorithms]
        if not fitting:
            raise invalid("no key is configured for its algorithm")
        try:
            return identity_of(self._claims(token, header["alg"], fitting))
        except jwt.ExpiredSignatureError:
            log.info("token_refused", code="token_expired")
            raise Refused(MESSAGE, code="token_expired") from None
        except _MALFORMED as error:
            raise invalid(_reason(error)) from None

    def _claims(self, token: str, algorithm: str, keys: Sequence[Key]) -> dict[str, Any]:
        for key in keys[:-1]:
            try:
                return self._decode(token, algorithm, key)
            except jwt.InvalidSignatureError:
                continue  # perhaps signed with another of the keys
        return self._decode(token, algorithm, keys[-1])

    def _decode(self, token: str, algorithm: str, key: Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.material,
            algorithms=[algorithm],
            audience=self._audience or None,
            issuer=self._issuer or None,
            leeway=self._leeway,
            options={"require": ["exp", "sub"], "verify_aud": bool(self._audience)},
        )


def _header_of(token: str) -> Mapping[str, Any]:
    """The unverified header; only its `alg` is checked, to be a string."""
    try:
        header = jwt.get_unverified_header(token)
    except _MALFORMED as error:
        raise invalid(_reason(error)) from None
    if not isinstance(header.get("alg"), str):
        raise invalid("its header names no algorithm")
    return header


def _reason(error: Exception) -> str:
    """The message of the library, which contains no part of the token."""
    return str(error)[:200] or type(error).__name__


class KeySource(Protocol):
    """Chooses keys by the header of a token. The header is unverified: its `kid` may only select among trusted keys."""

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
        """The keys to try, in order; may be empty. May fetch keys; raises only `Refused`."""
        ...


class FixedKeys:
    """The configured keys; each is tried for its own algorithms."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
        return self._keys
