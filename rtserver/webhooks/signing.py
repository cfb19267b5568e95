"""Signatures as Standard Webhooks has them: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256


def headers(keys: Sequence[bytes], id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """`timestamp`: seconds since the epoch. One signature a key, so that keys can change; none without keys."""
    signed = f"{id_}.{timestamp}.".encode() + body
    signatures = [f"v1,{b64encode(hmac.digest(key, signed, sha256)).decode()}" for key in keys]
    told = {"webhook-id": id_, "webhook-timestamp": str(timestamp)}
    return told | ({"webhook-signature": " ".join(signatures)} if signatures else {})
