"""Socket.IO packets on their way to the engine."""

from __future__ import annotations

from typing import Any

from rtserver.engine.outgoing import Outgoing
from rtserver.protocol import packets

MESSAGE = b"4"


def outgoing(type: int, namespace: str, data: Any = None, id: int | None = None) -> Outgoing:
    """Encode one packet for any number of sessions; raises `TypeError` for what cannot be sent."""
    text, *attachments = packets.encode(type, namespace, data, id)
    return Outgoing(MESSAGE + text, *attachments)
