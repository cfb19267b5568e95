"""Verification keys: their kinds, and the algorithms of each kind. Knows nothing of tokens.

Rule: a key is used only with the algorithms of its own kind. A public key is not an HMAC secret (RFC 8725 §2.1,
"algorithm confusion"), so text that looks like a PEM is rejected where a secret is expected, and vice versa.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The shortest secret for each algorithm: the size of its hash, RFC 7518 §3.2."""

HMAC = tuple(SECRET_BYTES)
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",), "secp256k1": ("ES256K",)}
_EDWARDS = ("EdDSA",)
ALGORITHMS = (*HMAC, *_RSA, "ES256", "ES384", "ES512", "ES256K", *_EDWARDS)
_SHORTEST_RSA = 2048
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


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


def public_keys(pem: str) -> list[Key]:
    """All public keys in `pem`; raises `ValueError` with a text for the operator."""
    blocks = list(_PEM.finditer(pem))
    if not blocks:
        raise ValueError("it holds no PEM")
    return [_public_key(block.group(), block.group(1)) for block in blocks]


def _public_key(block: str, label: str) -> Key:
    if "PRIVATE" in label:
        raise ValueError("it holds a private key, which belongs to the issuer of tokens alone")
    if label == "CERTIFICATE":
        raise ValueError("it holds a certificate: take its key with 'openssl x509 -pubkey -noout'")
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it holds a PEM that cannot be read") from None
    return Key(key, _algorithms_of(key))  # type: ignore[arg-type]


def _algorithms_of(key: object) -> tuple[str, ...]:
    match key:
        case RSAPublicKey() if key.key_size < _SHORTEST_RSA:
            raise ValueError(f"its RSA key has {key.key_size} bits, and {_SHORTEST_RSA} are needed")
        case RSAPublicKey():
            return _RSA
        case EllipticCurvePublicKey() if key.curve.name in _EC:
            return _EC[key.curve.name]
        case Ed25519PublicKey() | Ed448PublicKey():
            return _EDWARDS
    raise ValueError("its key is of no kind that signs tokens: RSA, EC (P-256, P-384, P-521) or Ed25519")


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
