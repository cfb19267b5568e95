"""Verification keys: their kinds, and the algorithms of each kind. Knows nothing of tokens.

Rule: a key is used only with the algorithms of its own kind. A public key is not an HMAC secret (RFC 8725 §2.1,
"algorithm confusion"), so text that looks like a PEM is rejected where a secret is expected, and vice versa.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The shortest secret for each algorithm: the size of its hash, RFC 7518 §3.2."""

HMAC = tuple(SECRET_BYTES)
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EDWARDS = ("EdDSA",)
ALGORITHMS = (*HMAC, *RSA, "ES256", "ES384", "ES512", "ES256K", *EDWARDS)


@dataclass(frozen=True, slots=True)
class Key:
    """`algorithms`: all that its kind allows; the first one is the default."""

    material: bytes | PublicKey = field(repr=False)
    algorithms: tuple[str, ...]

    def only(self, allowed: Collection[str]) -> Key:
        """The same key, limited to the allowed algorithms."""
        return replace(self, algorithms=tuple(name for name in self.algorithms if name in allowed))


def looks_like_pem(text: str) -> bool:
    """Whether the text contains the beginning of a PEM block."""
    return "-----BEGIN" in text


def secret_keys(secrets: Sequence[str]) -> list[Key]:
    """HMAC keys; raises `ValueError` where one of the secrets is a PEM."""
    if any(looks_like_pem(secret) for secret in secrets):
        raise ValueError("a PEM is not a secret")
    return [Key(secret.encode(), HMAC) for secret in secrets]


WEBHOOK_PREFIX = "whsec_"


def webhook_key(secret: str) -> bytes:
    """The key in a secret of Standard Webhooks (`whsec_…`); raises `ValueError` with a text for the operator."""
    try:
        key = b64decode(secret.removeprefix(WEBHOOK_PREFIX), validate=True)
    except ValueError:
        raise ValueError("it is no base64") from None
    if not secret.startswith(WEBHOOK_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"it must be {WEBHOOK_PREFIX} and 24 to 64 bytes as base64")
    return key
