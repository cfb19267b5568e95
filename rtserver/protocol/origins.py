"""Web origins: the one normal form by which pages are told apart, and which pages are a server's own. No I/O.

An origin is the scheme, host and port of a page (RFC 6454). Browsers send it in one way; settings, proxies and clients
outside browsers write it in several. Rules:

1. Scheme and host are compared in lower case. `ws` is `http`, and `wss` is `https`: a page has the scheme of HTTP.
2. The default port of the scheme is left out. One slash at the end is ignored.
3. A host is a name, an IPv4 address in four decimal numbers or an IPv6 address in brackets, in the shortest form. Names
   beyond ASCII are written in Punycode, as browsers send them; in requests they must be so already.
4. Other schemes than those of HTTP have any host or none: `capacitor://localhost`, `file://`.
5. `null` is an origin too, shared by all pages that have none of their own.
6. Everything else is no origin: user names, paths, queries, lists, backslashes, escapes, patterns.
7. Normal forms are equal, or the origins are different. There is no comparison by prefix, suffix or pattern.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from multidict import MultiMapping

from rtserver.protocol.header_lists import joined

MAX_LENGTH = 512
"""Longer texts are no origins: the longest host name has 253 characters."""

_REMEMBERED = 256
"""Texts whose result is remembered: the clients of a server have few origins, and most send the same."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"ws": "http", "wss": "https"}
_PAGE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_SHAPE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OPAQUE_HOST = re.compile(r"[a-z0-9._~!$&'()+;=-]+")


class Origin(NamedTuple):
    """An origin in its normal form. `port`: None for the default one. `Origin("null")` has neither host nor port."""

    scheme: str
    host: str = ""
    port: int | None = None

    def __str__(self) -> str:
        """As browsers send it."""
        if self.scheme == "null":
            return self.scheme
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is a web page of its visitor's machine; `localhost` has subdomains (RFC 6761, section 6.3)."""
        if self.scheme not in _DEFAULT_PORTS:
            return False
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        return self.host == "[::1]" or _is_loopback_address(self.host)


NULL = Origin("null")


def parse(text: str) -> Origin | None:
    """Return the origin that a request names; None for a text that is none (rule 6)."""
    return _parse(text) if len(text) <= MAX_LENGTH and text.isascii() else None


@lru_cache(_REMEMBERED)
def _parse(text: str) -> Origin | None:
    if text.lower() == "null":
        return NULL
    shape = _SHAPE.fullmatch(text)
    if shape is None or shape[1].lower() == "null":
        return None
    scheme = shape[1].lower()
    scheme = _SCHEMES.get(scheme, scheme)
    web = scheme in _DEFAULT_PORTS
    if not shape[2]:
        return None if web else Origin(scheme)
    address = _address(shape[2], web)
    if address is None:
        return None
    host, port = address
    return Origin(scheme, host, None if port == _DEFAULT_PORTS.get(scheme) else port)


def parse_setting(text: str) -> Origin | None:
    """Return the origin that a person wrote: as `parse`, and names beyond ASCII are allowed."""
    text = text.strip()
    if text.isascii():
        return parse(text)
    scheme, _, rest = text.partition("://")
    host, colon, port = rest.removesuffix("/").partition(":")
    encoded = _punycode(host)
    return None if encoded is None else parse(f"{scheme}://{encoded}{colon}{port}")


class Requested(NamedTuple):
    """What a request was addressed to. `port`: where this server received it; None for a Unix socket.

    `trusted`: it came from a proxy whose X-Forwarded-… headers are believed. `strict`: see rule 3 of `is_own`.
    """

    scheme: str
    host: str
    headers: MultiMapping[str]
    port: int | None = None
    trusted: bool = False
    strict: bool = False


def is_own(origin: Origin, requested: Requested) -> bool:
    """Whether a page is of the requested server, as its client or a trusted proxy before this process names it.

    1. The host must be equal to that of `Host` or, from a trusted proxy, to that of X-Forwarded-Host, whose first
       element is what the client named.
    2. A page of https is accepted where the request came as http: a proxy has decrypted it, and only the owner of a
       name can serve https there.
    3. A page of http is not accepted by a server of https: anybody on the way can have written it. A sign of TLS counts
       whoever gives it; that there was none is believed from a trusted proxy only. Without either, `strict` accepts the
       page only if the request came to the very port that it names, as a proxy may have decrypted all others, or if the
       page is of the visitor's own machine.
    4. The port must be equal or, from a trusted proxy, that of X-Forwarded-Port. A host without a port may have lost it
       in a proxy (nginx's `$host`), and then any port will do: cookies do not tell ports apart, so a page of another
       port gains nothing. Port 80 or 443 may be that of an inner proxy, and stands for the default port.
    """
    if origin.scheme not in _DEFAULT_PORTS or (origin.scheme == "http" and not _may_be_cleartext(origin, requested)):
        return False
    if _is_at(origin, requested.host, requested):
        return True
    return requested.trusted and _is_at(origin, _first(requested.headers, "X-Forwarded-Host"), requested)


def _may_be_cleartext(origin: Origin, requested: Requested) -> bool:
    """Whether the page of http may be of this server (rule 3)."""
    headers = requested.headers
    if requested.scheme == "https" or _first(headers, "X-Forwarded-Port") == str(_DEFAULT_PORTS["https"]):
        return False
    if any(sign in joined(headers, name).lower() for name, sign in _SIGNS_OF_TLS):
        return False
    # Browsers send it over TLS and to the visitor's own machine. Where it is there, they have compared the origins.
    site = joined(headers, "Sec-Fetch-Site")
    if site or origin.is_loopback or not requested.strict:
        return site in ("", "same-origin")
    proxied = requested.trusted and _first(headers, "X-Forwarded-Proto").lower() in ("http", "ws")
    return proxied or (origin.port or _DEFAULT_PORTS["http"]) == requested.port


_SIGNS_OF_TLS = (
    ("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "wss"), ("X-Forwarded-Scheme", "https"),
    ("X-Forwarded-Protocol", "https"), ("X-Url-Scheme", "https"), ("X-Scheme", "https"), ("X-Forwarded-Ssl", "on"),
    ("Front-End-Https", "on"), ("Forwarded", "proto=https"), ("Forwarded", 'proto="https"'), ("Forwarded", "proto=wss"),
    ("Cf-Visitor", "https"), ("CloudFront-Forwarded-Proto", "https"),
)  # fmt: skip
"""Headers by which proxies say that the client's connection was encrypted, and what they contain then."""


def of_url(url: str) -> Origin | None:
    """Return the origin of a page with this address, such as a `Referer` has."""
    found = _PAGE.match(url)
    return None if found is None else parse(found[0])


def is_at(origin: Origin, host: str) -> bool:
    """Whether a page is of exactly this `host:port`, by either scheme of HTTP."""
    return origin.scheme in _DEFAULT_PORTS and origin == parse(f"{origin.scheme}://{host}")


def _is_at(origin: Origin, address: str, requested: Requested) -> bool:
    found = _address(address, True) if len(address) <= MAX_LENGTH and address.isascii() else None
    if found is None or found[0] != origin.host:
        return False
    port = found[1]
    if origin.scheme == "http" and port == _DEFAULT_PORTS["https"]:
        return False
    if port is None or (origin.port is None and port in _DEFAULT_PORTS.values()):
        return True
    own = _DEFAULT_PORTS[origin.scheme] if origin.port is None else origin.port
    return own == port or (requested.trusted and str(own) == _first(requested.headers, "X-Forwarded-Port"))


def _punycode(host: str) -> str | None:
    from yarl import URL  # few settings need it, and commands such as `rtserver token` should start fast

    try:
        return URL.build(scheme="http", host=host).raw_host
    except ValueError:
        return None


def _first(headers: MultiMapping[str], name: str) -> str:
    return headers.get(name, "").partition(",")[0].strip()


@lru_cache(_REMEMBERED)
def _address(text: str, web: bool) -> tuple[str, int | None] | None:
    """The host in its normal form, and the port as it is written. `web`: of HTTP, where hosts have rules."""
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        return None
    host = parts[1].lower()
    if host[0] == "[":
        host = _ipv6(host)
    elif not (_is_web_host(host) if web else _OPAQUE_HOST.fullmatch(host)):
        return None
    port = None if parts[2] is None else int(parts[2])
    return (host, port) if host and (port is None or port <= 65535) else None


def _is_web_host(host: str) -> bool:
    if _NAME.fullmatch(host) is None:
        return False
    # A name whose last label is a number is an IPv4 address to browsers, in whatever form; they send four numbers.
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is None:
        return True
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def _ipv6(host: str) -> str:
    try:
        return f"[{IPv6Address(host[1:-1]).compressed}]"
    except AddressValueError:
        return ""


def _is_loopback_address(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False
