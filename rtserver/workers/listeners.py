"""The listening sockets that all workers share, made once."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from rtserver.errors import ConfigError

BACKLOG = 4096


def listen(host: str, port: int) -> list[socket.socket]:
    """One for each address of `host`. Raises `ConfigError` when the port cannot be had."""
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            made.append(_listen(family, (address[0], port or _port(made), *address[2:])))
    except OSError as error:
        for listening in made:
            listening.close()
        reason = error.strerror or str(error)
        fault = f"{host}:{port} cannot be listened on: {reason}. Stop what is there, or choose another RTSERVER_PORT."
        raise ConfigError([fault]) from None
    return made


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _port(made: Sequence[socket.socket]) -> int:
    return int(made[0].getsockname()[1]) if made else 0
