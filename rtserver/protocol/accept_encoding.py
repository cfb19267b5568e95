"""What the header Accept-Encoding says (RFC 9110, 12.5.3). No I/O."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=32)
def accepts_gzip(header: str) -> bool:
    """Whether `gzip` (or `*`) stands there with a weight other than 0."""
    weights: dict[str, str] = {}
    for item in header.lower().split(","):
        coding, _, weight = item.partition(";")
        weights[coding.strip()] = weight.strip().replace(" ", "")
    wanted = weights.get("gzip", weights.get("*"))
    return wanted is not None and wanted.rstrip("0") not in ("q=", "q=0.")
