"""Listening sockets of a server: what a single process and the supervisor of several workers share.

1. `::` is every interface over IPv6 and IPv4, by one socket; its IPv4 peers have addresses such as `::ffff:192.0.2.1`.
2. `unix:/path` is a Unix socket, for a proxy on the same machine. Owner and group may connect. The file that a server
   left behind is replaced; one on which a server listens is not.
3. A host name may have several addresses. One of a family that this machine does not have is skipped.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any, Final

from rtserver.errors import ConfigError
from rtserver.protocol.addresses import UNIX_HOST

BACKLOG: Final = 4096
"""Connections that may wait to be accepted, for each listening socket."""
EVERY_ADDRESS: Final = "::"
_UNIX_MODE: Final = 0o660
_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen(host: str, port: int) -> list[socket.socket]:
    """Return one listening socket for each address of `host`. Raises `ConfigError` when it cannot be listened on."""
    try:
        return [_listen_unix(host.removeprefix(UNIX_HOST))] if host.startswith(UNIX_HOST) else _listen_tcp(host, port)
    except OSError as error:
        raise listen_error(host, port, error) from None


def _listen_tcp(host: str, port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    absent: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            chosen = port or (port_of(made[0].getsockname()) if made else 0)
            try:
                made.append(_bound(family, (address[0], chosen, *address[2:]), both=host == EVERY_ADDRESS))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
    except OSError:
        for listening in made:
            listening.close()
        raise
    if not made and absent is not None:
        raise absent
    return made


def _bound(family: int, address: tuple[object, ...], *, both: bool) -> socket.socket:
    """`both`: a socket of IPv6 accepts IPv4 too."""
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _listen_unix(path: str) -> socket.socket:
    _remove_abandoned(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        # Before `listen`, so that no connection is accepted with another mode.
        Path(path).chmod(_UNIX_MODE)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _remove_abandoned(path: str) -> None:
    """Remove the socket of a server that has ended; another file stays, and `bind` fails."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        os.unlink(path)
    except BlockingIOError:  # Its queue is full: somebody listens.
        return


def listen_error(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error to raise when `host` and `port` cannot be listened on."""
    # The event loop repeats the address in its own text; the system's text for the number is enough.
    # A failed look-up has numbers of its own.
    numbered = error.errno and error.errno > 0 and not isinstance(error, socket.gaierror)
    system = os.strerror(error.errno) if error.errno and numbered else None
    reason = system or error.strerror or str(error)
    if host.startswith(UNIX_HOST):
        advice = "Stop the server that uses it, or choose another RTSERVER_HOST."
        return ConfigError([f"Cannot listen on {host}: {reason}. {advice}"])
    fault = f"Cannot listen on {host}:{port}: {reason}."
    return ConfigError([f"{fault} Stop the program that uses it, or choose another RTSERVER_PORT."])


def port_of(address: Any) -> int:
    """Return the port of a socket address, such as the one that the system chose for port 0."""
    return int(address[1])


def shown_address(host: str, address: Any) -> str:
    """Return what to log of the socket address of a server for `host`: a URL for this machine, or the Unix socket."""
    if not isinstance(address, tuple):
        return f"{UNIX_HOST}{os.fsdecode(address)}"
    if host.startswith(UNIX_HOST) or host in ("0.0.0.0", EVERY_ADDRESS):  # noqa: S104  # compared, not bound
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port_of(address)}"
