"""Network addresses: the form in which addresses of peers and proxies are compared, counted, logged and shown. No I/O.

1. An IPv4 address in the form of IPv6 (`::ffff:192.0.2.1`) is the IPv4 address: a socket for both families reports
   every IPv4 peer in this form.
2. An IPv6 address is written as in RFC 5952, in lower case and without a zone, which means nothing to other machines.
3. Proxies may append a port, with brackets around IPv6 (`192.0.2.1:4711`, `[2001:db8::1]:4711`), or quote the address
   (RFC 7239, section 6). The address alone counts.
4. Whatever else stands there (`unknown`, `_hidden`, garbage) is no address.
5. The peer of a Unix socket has no address. It is called `unix`, and may be trusted under this name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
TrustedPeer: TypeAlias = Network | Literal["unix"]

UNIX: Literal["unix"] = "unix"
UNIX_HOST = "unix:"
"""The beginning of a host to listen on that is a Unix socket; its path follows."""
_LONGEST = 100
_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::\d{1,5})?|([0-9.]+):\d{1,5}", re.ASCII)
_MAPPED = ip_network("::ffff:0:0/96")


def normal_address(text: str) -> str | None:
    """Return the address in its normal form; None for a text that is none."""
    text = text.strip(' \t"')
    if len(text) > _LONGEST:
        return None
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2] or ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    return str(mapped or address)


def normal_peer(peer: str | None) -> str:
    """Return the normal form of what a transport reports as its peer's host; empty where it reports nothing.

    Transports of Unix sockets report the empty text, or a path if the peer has bound its socket to one.
    """
    return "" if peer is None else normal_address(peer) or UNIX


def trusted_peer(text: str) -> TrustedPeer:
    """Parse an address, a network in CIDR notation or `unix`; raises `ValueError` for anything else."""
    text = text.strip()
    if text.lower() == UNIX:
        return UNIX
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):  # type: ignore[arg-type]  # both are IPv6
        return ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - _MAPPED.prefixlen))
    return network


class TrustedPeers:
    """The proxies whose `X-Forwarded-…` headers are believed."""

    def __init__(self, peers: Iterable[str] = ()) -> None:
        """`peers`: as `trusted_peer` reads them."""
        parsed = [trusted_peer(peer) for peer in peers]
        self._unix = UNIX in parsed
        self._networks = [peer for peer in parsed if peer != UNIX]

    def trusts(self, address: str) -> bool:
        """Whether an address in its normal form, or `unix`, is one of them."""
        if address == UNIX:
            return self._unix
        if not self._networks:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
