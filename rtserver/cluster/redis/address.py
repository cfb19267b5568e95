"""Redis addresses: one server, a Unix socket, Sentinels or a Cluster; the scheme `valkey` is a synonym of `redis`.

Rule: no error of this module repeats any part of the URL but the name of an option, since the rest may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Kind = Literal["single", "unix", "sentinel", "cluster"]
Host = tuple[str, int]

_SCHEMES = re.compile(r"(?:(?:redis|valkey)(s?)(?:\+(unix|sentinel|cluster))?)|(unix)")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%25\w+)?\]|[^\s:\[\]@]+)(?::([0-9]{1,5}))?")
_SERVICE = re.compile(r"[\w.:-]+", re.ASCII)
_PORTS = {"sentinel": 26379}
_UNREADABLE = "it cannot be read as a URL; special characters in a password are written %XX"


def _text(value: str) -> str:
    if not value:
        raise ValueError
    return value


def _number(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError
    return int(value)


def _switch(value: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[value.lower()]


def _file(value: str) -> str:
    if not Path(value).is_file():
        raise ValueError
    return value


def _requirement(value: str) -> str:
    if value not in ("required", "optional", "none"):
        raise ValueError
    return value


_LOGIN: dict[str, Callable[[str], object]] = {"username": _text, "password": _text, "db": _number}
_TLS: dict[str, Callable[[str], object]] = {
    "ssl_ca_certs": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_cert_reqs": _requirement,
    "ssl_check_hostname": _switch,
}
_SENTINEL: dict[str, Callable[[str], object]] = {"sentinel_username": _text, "sentinel_password": _text}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`login` and `tls` are keyword arguments of redis-py; `service` is the name of the primary at the Sentinels."""

    kind: Kind
    secure: bool
    hosts: tuple[Host, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    login: dict[str, str] = field(default_factory=dict, repr=False)
    sentinel_login: dict[str, str] = field(default_factory=dict, repr=False)
    tls: dict[str, object] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """For logs: scheme, hosts and database, without user, password and options."""
        scheme = "rediss" if self.secure else "redis"
        if self.kind == "unix":
            return f"unix://{self.path}"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        if self.kind == "sentinel":
            return f"{scheme}+sentinel://{hosts}/{self.service}/{self.db}"
        return f"{scheme}+cluster://{hosts}" if self.kind == "cluster" else f"{scheme}://{hosts}/{self.db}"


def parse_redis_url(url: str) -> RedisAddress:
    """Parse a URL; raises ValueError with a sentence that names the fault."""
    parts = _split(url)
    kind, secure = _scheme(parts.scheme)
    options = _options(parts.query, kind, secure)
    user, hosts = _authority(parts.netloc, kind)
    login = {"username": options.pop("username", ""), "password": options.pop("password", "")} | user
    path, service, db = _path(unquote(parts.path), kind)
    return RedisAddress(
        kind,
        secure,
        hosts,
        path,
        service,
        int(str(options.pop("db", db))),
        _given(login),
        _given({name: options.pop(f"sentinel_{name}", "") for name in ("username", "password")}),
        options,
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_UNREADABLE) from None
    if parts.fragment or any(character.isspace() for character in url):
        raise ValueError(_UNREADABLE)
    return parts


def _scheme(scheme: str) -> tuple[Kind, bool]:
    match = _SCHEMES.fullmatch(scheme)
    if match is None:
        raise ValueError(
            "its scheme must be redis, rediss or unix, with +sentinel or +cluster for those; valkey stands for redis"
        )
    kind: Kind = match[2] or match[3] or "single"  # type: ignore[assignment]
    if kind == "unix" and match[1]:
        raise ValueError("a Unix socket has no TLS")
    return kind, bool(match[1])


def _options(query: str, kind: Kind, secure: bool) -> dict[str, object]:
    known = _LOGIN | (_TLS if secure else {}) | (_SENTINEL if kind == "sentinel" else {})
    found: dict[str, object] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            # An unescaped ? in a password looks like an option, so even the name is not repeated.
            raise ValueError(f"it has an option that is none of {', '.join(known)}")
        try:
            found[name] = known[name](value)
        except (ValueError, KeyError):
            raise ValueError(f"the value of its option {name} cannot be used") from None
    return found


def _authority(netloc: str, kind: Kind) -> tuple[dict[str, str], tuple[Host, ...]]:
    login, _, hosts = netloc.rpartition("@")
    username, _, password = login.partition(":")
    user = _given({"username": unquote(username), "password": unquote(password)})
    if kind == "unix":
        if hosts:
            raise ValueError("after the scheme of a socket there must be three slashes and the path")
        return user, ()
    found = tuple(_host(host, _PORTS.get(kind, 6379)) for host in hosts.split(","))
    if len(found) > 1 and kind == "single":
        raise ValueError("it names several hosts, which is for redis+sentinel and redis+cluster")
    return user, found


def _host(text: str, default: int) -> Host:
    if not text or text.startswith(":"):
        raise ValueError("it names no host")
    match = _HOST.fullmatch(text)
    port = int(match[2] or default) if match is not None else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(_UNREADABLE)
    return unquote(match[1].strip("[]")), port


def _path(path: str, kind: Kind) -> tuple[str, str, int]:
    """Return socket, service and database."""
    if kind == "unix":
        if not path.strip("/"):
            raise ValueError("it names no socket")
        return path, "", 0
    if kind == "sentinel":
        service, _, db = path.removeprefix("/").partition("/")
        if not _SERVICE.fullmatch(service):
            raise ValueError("after its hosts there must be the name of the service, as in /mymaster or /mymaster/0")
        return "", service, _database(db)
    db = path.removeprefix("/")
    if kind == "cluster" and db not in ("", "0"):
        raise ValueError("a Redis Cluster has only database 0")
    return "", "", _database(db)


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,9}", text):
        raise ValueError("its path must be the number of a database, such as /0")
    return int(text or 0)


def _given(values: dict[str, object] | dict[str, str]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value}
