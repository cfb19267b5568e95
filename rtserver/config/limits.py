"""Settings of limits: what one client, connection, address or backend may send, hold and occupy."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from rtserver.config import field_types as kind
from rtserver.rate_limit import Rate


class LimitSettings(BaseModel):
    """The group "Limits"."""

    GROUP: ClassVar[str] = "Limits"
    model_config = ConfigDict(defer_build=True)

    max_payload: kind.Bytes = 1_000_000
    """The largest message of a client, in bytes."""
    max_packets: kind.AtLeastOne = 10_000
    """The most packets in one POST of a polling client."""
    max_depth: kind.Depth = 64
    """How deep arrays and objects of a client may be nested."""
    max_attachments: kind.Count = 10
    """The most binary attachments in one event."""
    max_attachment_bytes: kind.Bytes = 10_000_000
    """The most bytes in all attachments of one event together."""
    attachment_timeout: kind.Seconds = 30.0
    """Seconds that all attachments of one event may take to arrive."""
    outbox_limit: kind.Bytes = 1_048_576
    """Bytes that may wait for one client that takes nothing; with more waiting it is disconnected after 5 seconds. A
    client that takes them, or has not polled yet, may have 16 times as many waiting."""
    outbox_total: kind.Bytes = 268_435_456
    """Bytes that may wait for all clients of one process together. Beyond that clients are disconnected, those with
    most waiting first."""
    max_backlog: kind.AtLeastOne = 100
    """Events of one connection that may wait for a handler; beyond that, nothing more is read from the connection."""
    max_backlog_bytes: kind.Bytes = 1_048_576
    """The same in bytes."""
    handler_timeout: kind.Pause = 30.0
    """Seconds that one handler may take before it is cancelled and the client gets `timeout`; 0 is no limit."""
    max_connections: kind.Count = 0
    """The most connections to one instance; 0 is no limit."""
    max_connections_per_ip: kind.Count = 0
    """The most connections to one instance from one address (IPv6: one /64 network); 0 is no limit."""
    max_connections_per_user: kind.Count = 0
    """The most connections of one user to one instance; 0 is no limit."""
    max_namespaces: kind.AtLeastOne = 32
    """The most namespaces that one connection may join."""
    max_rooms: kind.AtLeastOne = 1000
    """The most rooms that one client may be in."""
    max_room_length: kind.AtLeastOne = 1000
    """The longest name of a room, in characters."""
    max_event_length: kind.AtLeastOne = 100
    """The longest name of an event that no handler is registered for, in characters."""
    rate_events: kind.EventRate = Rate(100)
    """Events of one kind of one user, on all connections to one instance together, in bursts of up to twice that. A
    client without an identity counts by itself."""
    rate_mentions: kind.EventRate = Rate(60, 60.0)
    """Notifications of mentions that one user may cause on one instance, in bursts of up to twice that."""
    rate_api: kind.EventRate = Rate(1000)
    """Requests of one backend to the HTTP API of one instance, in bursts of up to twice that. For users, `RATE_EVENTS`
    applies there too."""
    rate_connects: kind.EventRate = None
    """New connections from one address (IPv6: one /64 network), in bursts of up to twice that."""
