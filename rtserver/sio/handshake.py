"""What is kept of the request that opened a connection. Must not keep the request itself, nor reach a log with secrets.

Field names and meaning follow Node's `socket.handshake`: https://socket.io/docs/v4/server-socket-instance/#sockethandshake
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

KEPT_HEADERS = frozenset({
    "accept-language", "authorization", "cookie", "host", "origin", "referer", "user-agent", "x-forwarded-for",
    "x-forwarded-proto", "x-request-id",
})  # fmt: skip
SECRET_HEADERS = frozenset({"authorization", "cookie"})
_ADDRESS = re.compile(r"[^?#]*")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Handshake:
    """`headers` are lower-case; `issued` is in milliseconds since the epoch; `auth` is the CONNECT payload."""

    address: str
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)
    query: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)
    url: str = field(default="/socket.io/", repr=False)
    secure: bool = False
    issued: int = field(default_factory=lambda: int(time.time() * 1000))
    auth: Mapping[str, Any] | None = field(default=None, repr=False)

    def with_auth(self, auth: Mapping[str, Any] | None) -> Handshake:
        return replace(self, auth=auth)

    def public(self) -> dict[str, Any]:
        """The handshake as other servers and admins may see it: without tokens, cookies and the queries of URLs."""
        headers = {k: v for k, v in self.headers.items() if k not in SECRET_HEADERS}
        if "referer" in headers:
            headers["referer"] = _ADDRESS.match(headers["referer"])[0]  # type: ignore[index]
        return {
            "headers": headers,
            "time": time.strftime("%a %b %d %Y %H:%M:%S GMT+0000", time.gmtime(self.issued / 1000)),
            "address": self.address,
            "xdomain": "origin" in self.headers,
            "secure": self.secure,
            "issued": self.issued,
            "url": self.url.split("?", 1)[0],
            "query": {k: v for k, v in self.query.items() if k in ("EIO", "transport")},
            "auth": {},
        }
