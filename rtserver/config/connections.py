"""Settings of connections: browsers and proxies in front, transports, heartbeat, shutdown."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from rtserver.config import field_types as kind
from rtserver.config.backing_services import BackingServiceSettings
from rtserver.config.server import ServerSettings


def _default_drain_seconds(others: dict[str, Any]) -> float:
    """Without Redis this is the only instance: its clients cannot reconnect before it is back."""
    return 30.0 if others.get("redis_url") else 0.0


def _default_drain_delay(others: dict[str, Any]) -> float:
    return 3.0 if others.get("redis_url") else 0.0


class BrowserSettings(ServerSettings):
    """The group "Browsers and proxies"."""

    GROUP: ClassVar[str] = "Browsers and proxies"

    cors_origins: kind.Origins = ()
    """The origins of the web pages that may connect, besides the server's own; apps and files have origins too, such as
    `capacitor://localhost` and `file://` ([deploy.md](deploy.md#which-pages-may-connect)). Development mode also allows
    pages of this machine, whatever their port."""
    trusted_proxies: kind.TrustedPeers = ()
    """Proxies whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Port` are trusted; `unix` is each that connects to a
    Unix socket."""


class ConnectionSettings(BackingServiceSettings):
    """The group "Connections"."""

    GROUP: ClassVar[str] = "Connections"

    namespaces: kind.Plugins = ()
    """Your own namespaces."""
    path: kind.UrlPath = "/socket.io"
    """The path of Socket.IO and of the client that comes with the server. Clients name another one too:
    `io(url, { path: "/realtime" })`, and so do the rules of a proxy."""
    transports: kind.Transports = ("polling", "websocket")
    """The transports that clients may use."""
    parser: kind.Parser = "json"
    """The encoding of packets: `json` is the standard; `msgpack` needs `socket.io-msgpack-parser` in every client,
    which the pages that come with the server do not have."""
    allow_eio3: kind.Switch = False
    """Accept Socket.IO v2 clients. They have ids with a secret ([protocol.md](protocol.md#version-2-clients))."""
    per_message_deflate: kind.Switch = False
    """Compress WebSocket messages for clients that offer it, as browsers do: less traffic for more CPU, see
    [protocol.md](protocol.md#compression)."""
    compression_threshold: kind.Count = 1024
    """The smallest poll response, or message of a compressed WebSocket, that is compressed, in bytes."""
    ping_interval: kind.Seconds = 25.0
    """Seconds between two pings."""
    ping_timeout: kind.Seconds = 20.0
    """Seconds to wait for the answer to a ping."""
    connect_timeout: kind.Seconds = 45.0
    """Seconds that a connection may take to join a namespace."""
    recovery_seconds: kind.Pause = 120.0
    """Seconds after a lost connection within which a client gets back its rooms and the events that it missed; 0 turns
    it off. Without effect until a later release."""
    drain_seconds: kind.Pause = Field(default_factory=_default_drain_seconds)
    """Seconds over which the clients are disconnected, a few at a time, when the server is asked to stop (SIGTERM). A
    second SIGTERM disconnects the rest at once."""
    drain_delay: kind.Pause = Field(default_factory=_default_drain_delay)
    """Seconds of normal service after the server is asked to stop, in which only `/readyz` reports it, so that load
    balancers notice."""
