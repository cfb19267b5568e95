"""Webhook signatures, by Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256


def headers(keys: Sequence[bytes], id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook. `timestamp`: seconds since the epoch.

    There is one signature per key, so that keys can be rotated; none without keys.
    """
    signed = f"{id_}.{timestamp}.".encode() + body
    signatures = [f"v1,{b64encode(hmac.digest(key, signed, sha256)).decode()}" for key in keys]
    unsigned = {"webhook-id": id_, "webhook-timestamp": str(timestamp)}
    return unsigned | ({"webhook-signature": " ".join(signatures)} if signatures else {})
