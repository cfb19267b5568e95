"""Listening sockets that all workers share; the supervisor makes them once."""

from __future__ import annotations

import socket

from rtserver.process.listening import BACKLOG, bound_port, listen_error


def listen(host: str, port: int) -> list[socket.socket]:
    """Return one socket for each address of `host`. Raises `ConfigError` when the port cannot be had."""
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            chosen = port or (bound_port(made[0]) if made else 0)
            made.append(_listen(family, (address[0], chosen, *address[2:])))
    except OSError as error:
        for listening in made:
            listening.close()
        raise listen_error(host, port, error) from None
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
