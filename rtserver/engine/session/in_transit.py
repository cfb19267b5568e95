"""Bytes in transit: what the system has accepted for a connection and the peer has not acknowledged."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios


def in_transit(transport: asyncio.Transport | None) -> int:
    """Return how many they are; 0 where the system does not tell."""
    wrapper = None if transport is None else transport.get_extra_info("socket")
    try:
        queued = fcntl.ioctl(wrapper.fileno(), termios.TIOCOUTQ, bytes(4)) if wrapper is not None else b""
    except (OSError, ValueError):
        return 0
    return int.from_bytes(queued, sys.byteorder)
