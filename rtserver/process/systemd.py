"""What systemd gives to a service and wants to hear of it: listening sockets that it holds, readiness.

Protocols: sd_listen_fds(3) and sd_notify(3). Both are asked for by variables of the environment, and absent without.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST = 3
"""The number of the first descriptor that is handed over."""


def inherited_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening TCP sockets that were handed to this process, and not to its children."""
    if environ.pop("LISTEN_PID", None) != str(os.getpid()):
        return []
    count = int(environ.pop("LISTEN_FDS", "0"))
    environ.pop("LISTEN_FDNAMES", None)
    sockets = [socket.socket(fileno=number) for number in range(FIRST, FIRST + count)]
    for given in sockets:
        given.set_inheritable(False)
    return sockets


def notify(state: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """`READY=1` or `STOPPING=1`. Nobody there to hear it is no fault."""
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
