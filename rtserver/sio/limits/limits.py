"""Limits of the Socket.IO layer: how much clients may send, hold and use, each with a safe default.

Each is also a setting (docs/settings.md) and an argument of `Server`. The engine has two limits of its own,
`outbox_limit` and `max_packets`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rtserver.rate_limit import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Lengths are in characters, times in seconds. 0 or None lifts a limit only where its description says so."""

    max_attachments: int = 10
    """Binary attachments of one packet."""
    max_attachment_bytes: int = 10_000_000
    """All attachments of one packet together."""
    attachment_timeout: float = 30.0
    """Time for all attachments of a packet to arrive."""
    max_depth: int = 64
    """Nesting of arrays and objects in a packet."""
    max_namespaces: int = 32
    """Namespaces that one connection may join."""
    max_rooms: int = 1000
    """Rooms that one client may be in."""
    max_room_length: int = 1000
    """Length of a room's name."""
    max_event_length: int = 100
    """Length of an event's name that a client sends and that has no handler of its own."""
    max_backlog: int = 100
    """Events of one connection that wait for a handler; beyond it the connection is not read."""
    max_backlog_bytes: int = 1_048_576
    """The size of these events in bytes."""
    handler_timeout: float = 0.0
    """Time for one handler; 0 lifts it."""
    connect_timeout: float = 45.0
    """Time for a connection to join a namespace, and for a connect handler to finish."""
    max_connections: int = 0
    """All connections of the server; 0 lifts it."""
    max_connections_per_ip: int = 0
    """Connections from one address; 0 lifts it."""
    max_connections_per_user: int = 0
    """Connections of one user; 0 lifts it."""
    connect_rate: Rate | None = None
    """New connections from one address; None lifts it."""

    def overridden_by(self, arguments: dict[str, Any]) -> Limits:
        """A copy with the limits that `arguments` names, which are removed from it; a rate may be written "10/s"."""
        named = {field.name: arguments.pop(field.name) for field in fields(self) if field.name in arguments}
        if isinstance(rate := named.get("connect_rate"), str):
            named["connect_rate"] = Rate.parse(rate)
        return replace(self, **named) if named else self
