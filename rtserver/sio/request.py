"""From the HTTP request that opened a session to its `Handshake`: chosen headers, and the address of the real client.

`X-Forwarded-For` counts only when the peer is a trusted proxy; then the right-most address that is not one is the
client's (each proxy appends the address that it saw, so anything further left may be forged).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from rtserver.engine.contracts import Asked
from rtserver.sio.handshake import KEPT_HEADERS, Handshake

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HandshakeReader:
    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        """`trusted_proxies`: addresses or networks in CIDR form."""
        self._trusted: tuple[Network, ...] = tuple(
            ipaddress.ip_network(proxy, strict=False) for proxy in trusted_proxies
        )

    def read(self, request: Asked) -> Handshake:
        headers = {
            name: _text(", ".join(request.headers.getall(name))) for name in KEPT_HEADERS if name in request.headers
        }
        peer = request.remote or ""
        trusted = self._is_trusted(peer)
        return Handshake(
            address=self._client_address(peer, headers) if trusted else peer,
            headers=headers,
            query=dict(request.query),
            url=request.path_qs,
            secure=(headers.get("x-forwarded-proto") == "https") if trusted else request.secure,
        )

    def _client_address(self, peer: str, headers: Mapping[str, str]) -> str:
        address = peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            hop = hop.strip()
            if not _is_address(hop):
                break
            address = hop
            if not self._is_trusted(hop):
                break
        return address

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted or not _is_address(address):
            return False
        return any(ipaddress.ip_address(address) in network for network in self._trusted)


def _text(value: str) -> str:
    """Without the lone surrogates that stand for bytes that are not UTF-8: such a text could be sent to nobody."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
