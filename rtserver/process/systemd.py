"""systemd integration: socket activation (sd_listen_fds(3)) and readiness notification (sd_notify(3)).

Both are configured by environment variables; without these, the functions do nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST = 3
"""The first inherited descriptor."""


def inherited_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Return the listening TCP sockets that systemd passed to this process; its children do not inherit them."""
    if environ.pop("LISTEN_PID", None) != str(os.getpid()):
        return []
    count = int(environ.pop("LISTEN_FDS", "0"))
    environ.pop("LISTEN_FDNAMES", None)
    sockets = [socket.socket(fileno=number) for number in range(FIRST, FIRST + count)]
    for inherited in sockets:
        inherited.set_inheritable(False)
    return sockets


def notify(state: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Send `READY=1` or `STOPPING=1` to systemd; nothing happens where nothing listens."""
    path = environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # "@" stands for the zero byte of an abstract address.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return
