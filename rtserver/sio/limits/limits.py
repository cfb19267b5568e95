"""What clients may hold, send and take up: every bound of the Socket.IO layer in one place, with its safe default.

Each is a setting as well (docs/settings.md), and an argument of `Server`. The engine has two of its own:
`outbox_limit` and `max_packets`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rtserver.rate_limit import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Lengths are in characters, times in seconds. 0 (or None) lifts a limit where it says so."""

    max_attachments: int = 10
    """Of one packet."""
    max_attachment_bytes: int = 10_000_000
    """Of one packet, all attachments together."""
    attachment_timeout: float = 30.0
    """For all attachments of a packet to arrive."""
    max_depth: int = 64
    """Arrays and objects in one another."""
    max_namespaces: int = 32
    """Of one connection."""
    max_rooms: int = 1000
    """Of one client."""
    max_room_length: int = 1000
    """Of the name of a room."""
    max_event_length: int = 100
    """Of the name of an event that a client sends and no handler is named after."""
    max_backlog: int = 100
    """Events of one connection that wait for a handler; past it, nothing more is read from it."""
    max_backlog_bytes: int = 1_048_576
    """The same in bytes."""
    handler_timeout: float = 0.0
    """For one handler; 0 lifts it."""
    connect_timeout: float = 45.0
    """For a connection to join a namespace, and for a connect handler to decide."""
    max_connections: int = 0
    """In all; 0 lifts it."""
    max_connections_per_ip: int = 0
    """From one address; 0 lifts it."""
    max_connections_per_user: int = 0
    """Of one user; 0 lifts it."""
    connect_rate: Rate | None = None
    """New connections from one address; None lifts it."""

    def take(self, arguments: dict[str, Any]) -> Limits:
        """These with what `arguments` names, which is taken out of them; a rate may be written "10/s"."""
        named = {field.name: arguments.pop(field.name) for field in fields(self) if field.name in arguments}
        if isinstance(rate := named.get("connect_rate"), str):
            named["connect_rate"] = Rate.parse(rate)
        return replace(self, **named) if named else self
