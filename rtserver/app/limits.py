"""Limits of the Socket.IO layer, taken from the settings. A test checks that each one is passed on."""

from __future__ import annotations

from rtserver.config.settings import Settings
from rtserver.sio.limits.limits import Limits


def limits_of(settings: Settings) -> Limits:
    """Return the limits that the settings ask for."""
    return Limits(
        max_attachments=settings.max_attachments,
        max_attachment_bytes=settings.max_attachment_bytes,
        attachment_timeout=settings.attachment_timeout,
        max_depth=settings.max_depth,
        max_namespaces=settings.max_namespaces,
        max_rooms=settings.max_rooms,
        max_room_length=settings.max_room_length,
        max_event_length=settings.max_event_length,
        max_backlog=settings.max_backlog,
        max_backlog_bytes=settings.max_backlog_bytes,
        handler_timeout=settings.handler_timeout,
        connect_timeout=settings.connect_timeout,
        max_connections=settings.max_connections,
        max_connections_per_ip=settings.max_connections_per_ip,
        max_connections_per_user=settings.max_connections_per_user,
        connect_rate=settings.rate_connects,
    )
