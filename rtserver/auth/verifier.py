"""Token verifier: JWTs (RFC 7519), by the recommendations of RFC 8725. Does not know where a token was found.

1. The allowed algorithms are those of the configured key. The header of a token only selects among them; `none` is not
   an algorithm.
2. Any input leads to an `Identity` or to `Refused`.
3. The reason of a rejection goes to the log, for the operator. The client learns "expired", "not yet valid" or
   "invalid", nothing else.
4. A token is written in one way only (RFC 7515, section 2): base64url without padding, line breaks, other characters
   or bits that say nothing (`tokens.split`). Otherwise one signature would have many texts.
5. `exp` and `nbf` decide when a token is valid, within the leeway. `iat` does not: RFC 7519 §4.1.6 gives it no such
   meaning, and the clock of an issuer may be ahead.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from rtserver.auth.claims import check_audience, check_issuer, identity_of, valid_from
from rtserver.auth.keys import Key
from rtserver.auth.tokens import WrongSignature, claims_of, split
from rtserver.errors import Refused
from rtserver.identity import Identity
from rtserver.telemetry.refusal_log import RefusalLog

log = structlog.get_logger("rtserver.auth")

MAX_TOKEN_LENGTH = 8 * 1024
MESSAGE = "Auth failed"
_MALFORMED = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


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
        self._odd_claims = RefusalLog(log)

    async def verify(self, token: str) -> Identity:
        """The identity of the token. Raises `Refused`: `token_expired`, `token_not_yet_valid` or `token_invalid`."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise invalid("it is too long")
        header = _header_of(token)
        fitting = [key for key in await self._keys.keys_for(header) if header["alg"] in key.algorithms]
        if not fitting:
            raise invalid("no key is configured for its algorithm")
        try:
            claims = self._claims(token, header["alg"], fitting)
            identity, not_before = identity_of(claims, self._report), valid_from(claims, self._report)
        except _MALFORMED as error:
            raise invalid(_reason(error)) from None
        now = time.time()
        if identity.expires_at is not None and identity.expires_at <= now - self._leeway:
            raise _refused("token_expired")
        if not_before is not None and not_before > now + self._leeway:
            raise _refused("token_not_yet_valid")
        return identity

    def _claims(self, token: str, algorithm: str, keys: Sequence[Key]) -> dict[str, Any]:
        for key in keys[:-1]:
            try:
                return self._decode(token, algorithm, key)
            except WrongSignature:
                continue  # perhaps signed with another of the keys
        return self._decode(token, algorithm, keys[-1])

    def _decode(self, token: str, algorithm: str, key: Key) -> dict[str, Any]:
        claims = claims_of(token, key.material, algorithm)
        check_issuer(claims, self._issuer)
        check_audience(claims, self._audience)
        return claims

    def _report(self, claim: str, reason: str) -> None:
        """Log what is odd about a claim of an accepted token; the next token of the issuer has it too."""
        self._odd_claims.note("token_claim_odd", reason, {"claim": claim})


def _refused(code: str) -> Refused:
    log.info("token_refused", code=code)
    return Refused(MESSAGE, code=code)


def _header_of(token: str) -> Mapping[str, Any]:
    """The unverified header; only its `alg` is checked, to be a string."""
    try:
        header = split(token).header
    except _MALFORMED as error:
        raise invalid(_reason(error)) from None
    if not isinstance(header.get("alg"), str):
        raise invalid("its header names no algorithm")
    return header


def _reason(error: Exception) -> str:
    """The message of the error, which contains no part of the token."""
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
