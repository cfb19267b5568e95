"""Signed tokens in compact form (RFC 7515): taken apart, verified and signed. Does not know what their claims mean.

1. HMAC is that of the standard library. PyJWT and cryptography, a tenth of a server's memory at rest, verify by public
   keys and are loaded only for those.
2. A segment is base64url without padding, and in the one form that its bytes have.
3. A header with `crit`, or one that says that the payload is not encoded (RFC 7797), is rejected: we know no extension.
4. Errors contain nothing of the token.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rtserver.auth.keys import PublicKey

_SEGMENT = re.compile(rb"[A-Za-z0-9_-]*")
_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


class TokenError(ValueError):
    """The token is malformed, or its signature is wrong."""


class WrongSignature(TokenError):
    """Another key may have signed it."""


class Parts(NamedTuple):
    """A token that was taken apart. `signed`: what the signature is of."""

    header: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def split(token: str) -> Parts:
    """Take a token apart, without verifying it. Raises `TokenError`."""
    segments = token.encode(errors="replace").split(b".")
    if len(segments) != 3:
        raise TokenError("it has not three segments")
    head, payload, signature = (_decoded(segment) for segment in segments)
    header = _object(head, "header")
    if not isinstance(header.get("kid", ""), str):
        raise TokenError("its kid is no string")
    if "crit" in header or header.get("b64", True) is False:
        raise TokenError("its header has an extension")
    return Parts(header, payload, b".".join(segments[:2]), signature)


def claims_of(token: str, key: bytes | PublicKey, algorithm: str) -> dict[str, Any]:
    """Return the claims of a token that `key` has signed by this algorithm.

    Raises `WrongSignature` and `TokenError`; `algorithm` must be one of those of the key.
    """
    parts = split(token)
    if parts.header.get("alg") != algorithm:
        raise TokenError("it names another algorithm")
    if isinstance(key, bytes):
        if not hmac.compare_digest(_hmac(key, parts.signed, algorithm), parts.signature):
            raise WrongSignature("the signature is wrong")
    else:
        _verify_by_public_key(token, key, algorithm)
    return _object(parts.payload, "payload")


def sign(claims: Mapping[str, Any], secret: str, algorithm: str) -> str:
    """Return a token with these claims, signed by HMAC."""
    header = {"alg": algorithm, "typ": "JWT"}
    signed = b".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return b".".join((signed, _encoded(_hmac(secret.encode(), signed, algorithm)))).decode()


def _verify_by_public_key(token: str, key: PublicKey, algorithm: str) -> None:
    import jwt  # rule 1

    try:
        jwt.PyJWS().decode(token, key, algorithms=[algorithm])
    except jwt.InvalidSignatureError:
        raise WrongSignature("the signature is wrong") from None
    except jwt.PyJWTError as error:
        raise TokenError(str(error)) from None


def _hmac(secret: bytes, data: bytes, algorithm: str) -> bytes:
    return hmac.digest(secret, data, _HASHES[algorithm])


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise TokenError(f"its {name} is no JSON") from None
    if not isinstance(value, dict):
        raise TokenError(f"its {name} is no JSON object")
    return value


def _decoded(segment: bytes) -> bytes:
    if _SEGMENT.fullmatch(segment) is None or len(segment) % 4 == 1:
        raise TokenError("it is not in base64url")
    data = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    if _encoded(data) != segment:
        raise TokenError("it is not in base64url")
    return data


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
