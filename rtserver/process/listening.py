"""Listening on a TCP port: what a single server and the supervisor of several workers share."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

from rtserver.errors import ConfigError

BACKLOG: Final = 4096
"""Connections that may wait to be accepted, for each listening socket."""


def listen_error(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error to raise when `host` and `port` cannot be listened on."""
    # The event loop repeats the address in its own text; the system's text for the number is enough.
    # A failed look-up has numbers of its own.
    numbered = error.errno and error.errno > 0 and not isinstance(error, socket.gaierror)
    system = os.strerror(error.errno) if error.errno and numbered else None
    reason = system or error.strerror or str(error)
    fault = f"Cannot listen on {host}:{port}: {reason}."
    return ConfigError([f"{fault} Stop the program that uses it, or choose another RTSERVER_PORT."])


def port_of(address: Any) -> int:
    """Return the port of a socket address, such as the one that the system chose for port 0."""
    return int(address[1])


def bound_port(listening: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    return port_of(listening.getsockname())
