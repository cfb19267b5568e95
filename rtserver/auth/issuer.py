"""Token issuer, for `rtserver token`, development mode and tests. In production the team's backend issues tokens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from rtserver.auth.tokens import sign

HOUR = 3600.0


def issue(
    secret: str,
    *,
    sub: str,
    name: str | None = None,
    roles: Sequence[str] = (),
    ttl: float = HOUR,
    audience: Sequence[str] = (),
    issuer: Sequence[str] = (),
    algorithm: str = "HS256",
    **claims: Any,
) -> str:
    """A signed token for the user `sub`, valid for `ttl` seconds.

    Of several issuers it names the first, as a token has only one. `claims` are added unchanged and take precedence.
    """
    now = int(time.time())
    wanted: dict[str, Any] = {
        "sub": sub,
        "name": name,
        "roles": list(roles) or None,
        "aud": list(audience) or None,
        "iss": issuer[0] if issuer else None,
        "jti": uuid.uuid4().hex,
        "iat": now,
        "exp": int(now + ttl),
    }
    present = {claim: value for claim, value in wanted.items() if value is not None}
    return sign({**present, **claims}, secret, algorithm)
