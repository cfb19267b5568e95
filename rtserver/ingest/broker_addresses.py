"""Broker addresses: URLs of Kafka and RabbitMQ, parsed and validated. No error contains any part of the URL.

kafka://host:9092,host2:9092          kafkas://user:password@host:9092 (TLS)
amqp://user:password@host:5672/vhost  amqps://… (TLS)
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    hosts: tuple[str, ...]
    secure: bool
    user: str | None
    password: str | None
    mechanism: str

    @property
    def shown(self) -> str:
        """For the log: without the login."""
        return f"kafka{'s' if self.secure else ''}://{','.join(self.hosts)}"


def parse_kafka_url(url: str) -> KafkaAddress:
    """Parse the URL; raises ValueError. `?mechanism=` is that of SASL: PLAIN (over TLS only), SCRAM-SHA-256 or -512."""
    parts = urlsplit(url)
    if parts.scheme not in ("kafka", "kafkas") or parts.path.strip("/"):
        raise ValueError("it must look like kafka://host:9092,host2:9092")
    login, _, hosts = parts.netloc.rpartition("@")
    names = tuple(_kafka_host(host) for host in hosts.split(","))
    user, _, password = login.partition(":")
    options = parse_qs(parts.query)
    mechanism = options.pop("mechanism", ["PLAIN"])[0].upper()
    if options or mechanism not in _MECHANISMS:
        raise ValueError(f"its only option is mechanism, one of {', '.join(_MECHANISMS)}")
    secure = parts.scheme == "kafkas"
    if user and mechanism == "PLAIN" and not secure:
        raise ValueError("a plain password needs kafkas://")
    return KafkaAddress(names, secure, unquote(user) or None, unquote(password) or None, mechanism)


def check_kafka_url(url: str) -> str:
    """Return the URL if it is usable; raises ValueError."""
    parse_kafka_url(url)
    return url


def check_amqp_url(url: str) -> str:
    """Return the URL if it is usable; raises ValueError."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("amqp", "amqps") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it must look like amqp://user:password@host:5672/")
    return url


def shown_amqp(url: str) -> str:
    """Return the URL without the login, for the log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _kafka_host(host: str) -> str:
    name, colon, port = host.rpartition(":")
    if not colon:
        name, port = host, "9092"
    if not name or not port.isdigit() or not 0 < int(port) < 65536 or " " in name:
        raise ValueError("one of its hosts cannot be used")
    return f"{name}:{port}"
