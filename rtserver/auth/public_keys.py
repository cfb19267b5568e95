"""Public keys of issuers, from PEM. Loaded where one is configured: cryptography takes a tenth of a server's memory."""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rtserver.auth.keys import EDWARDS, RSA, Key

_EC = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",), "secp256k1": ("ES256K",)}
_SHORTEST_RSA = 2048
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


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
    return Key(key, _algorithms_of(key))  # type: ignore[arg-type]  # `_algorithms_of` rejects other kinds of keys


def _algorithms_of(key: object) -> tuple[str, ...]:
    match key:
        case RSAPublicKey() if key.key_size < _SHORTEST_RSA:
            raise ValueError(f"its RSA key has {key.key_size} bits, and {_SHORTEST_RSA} are needed")
        case RSAPublicKey():
            return RSA
        case EllipticCurvePublicKey() if key.curve.name in _EC:
            return _EC[key.curve.name]
        case Ed25519PublicKey() | Ed448PublicKey():
            return EDWARDS
    raise ValueError("its key is of no kind that signs tokens: RSA, EC (P-256, P-384, P-521) or Ed25519")
