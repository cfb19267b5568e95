"""`Accept-Encoding` header: whether a client accepts gzip (RFC 9110, section 12.5.3). No I/O."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=32)
def accepts_gzip(header: str) -> bool:
    """Whether the header has `gzip` (or `*`) with a weight other than 0."""
    weights: dict[str, str] = {}
    for item in header.lower().split(","):
        coding, _, weight = item.partition(";")
        weights[coding.strip()] = weight.strip().replace(" ", "")
    accepted = weights.get("gzip", weights.get("*"))
    return accepted is not None and accepted.rstrip("0") not in ("q=", "q=0.")
