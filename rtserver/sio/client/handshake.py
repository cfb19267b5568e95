"""Handshake data of a client: the parts of the HTTP request that opened its session, and the client's real address.

1. Names and meaning of the fields follow Node's `socket.handshake`:
   https://socket.io/docs/v4/server-socket-instance/#sockethandshake
2. The request itself is not kept, and none of its secrets is logged.
3. `X-Forwarded-For` is read only when the peer is a trusted proxy. Each proxy appends the address that it saw, so the
   client's address is the right-most one that is not a trusted proxy. Anything further left may be forged. No chain of
   proxies has more than `MAX_PROXIES`: a client may have written thousands of their addresses to keep us busy.
4. What is kept as long as the connection is bounded: headers and URL by the size of a request's head, the query also by
   the number of its fields, of which thousands fit into a head. More of them are refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from rtserver.engine.http.request import HandshakeRequest
from rtserver.engine.http.responses import BAD_REQUEST, Refusal
from rtserver.protocol.addresses import TrustedPeers, normal_address, normal_peer
from rtserver.protocol.header_lists import joined


class HandshakeReader:
    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        """`trusted_proxies`: addresses, networks in CIDR notation, or `unix` for the peers of a Unix socket."""
        self._proxies = TrustedPeers(trusted_proxies)

    def read(self, request: HandshakeRequest) -> Handshake:
        """The handshake data of a request that opens a session; raises the engine's `Refusal` (rule 4)."""
        if len(request.query) > MAX_QUERY_FIELDS:
            raise Refusal(BAD_REQUEST)
        headers = {name: _text(joined(request.headers, name)) for name in KEPT_HEADERS if name in request.headers}
        peer = normal_peer(request.remote)
        trusted = self._proxies.trusts(peer)
        return Handshake(
            address=self._client_address(peer, headers) if trusted else peer,
            headers=headers,
            query=dict(request.query),
            url=request.path_qs,
            secure=_is_encrypted(headers.get("x-forwarded-proto", "")) if trusted else request.secure,
        )

    def _client_address(self, peer: str, headers: Mapping[str, str]) -> str:
        address = peer
        for hop in reversed(headers.get("x-forwarded-for", "").rsplit(",", MAX_PROXIES)[-MAX_PROXIES:]):
            if not hop.strip():
                continue
            seen = normal_address(hop)
            if seen is None:
                break
            address = seen
            if not self._proxies.trusts(seen):
                break
        return address


def _is_encrypted(forwarded_proto: str) -> bool:
    """Whether the first proxy of `X-Forwarded-Proto` received the request over TLS."""
    return forwarded_proto.partition(",")[0].strip().lower() in ("https", "wss")


def _text(value: str) -> str:
    """`value` without lone surrogates, which stand for bytes that are not UTF-8: such a text could not be sent."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


KEPT_HEADERS = frozenset({
    "accept-language", "authorization", "cookie", "host", "origin", "referer", "user-agent", "x-forwarded-for",
    "x-forwarded-proto", "x-request-id",
})  # fmt: skip
MAX_PROXIES = 32
MAX_QUERY_FIELDS = 100
SECRET_HEADERS = frozenset({"authorization", "cookie"})
_ADDRESS = re.compile(r"[^?#]*")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Handshake:
    """`headers` have lower-case names. `issued`: milliseconds since the epoch. `auth`: the payload of CONNECT."""

    address: str
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)
    query: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)
    url: str = field(default="/socket.io/", repr=False)
    secure: bool = False
    issued: int = field(default_factory=lambda: int(time.time() * 1000))
    auth: Mapping[str, Any] | None = field(default=None, repr=False)

    def with_auth(self, auth: Mapping[str, Any] | None) -> Handshake:
        """A copy with the payload of a CONNECT packet."""
        return replace(self, auth=auth)

    def public(self) -> dict[str, Any]:
        """The handshake for other servers and admins: without tokens, cookies and the queries of URLs."""
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
