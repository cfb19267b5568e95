"""Free TCP ports on 127.0.0.1."""

import itertools
import os
import random
import socket

# Below the ephemeral range: no outgoing connection can take the port between the check and the
# server's bind, nor while a test keeps the server down (a client would even connect to itself).
_FIRST, _LAST = 20_000, 32_000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# Concurrent test processes must not take each other's ports between check and bind.
_PORTS = list(range(_FIRST + _WORKER, _LAST, _WORKERS))
random.shuffle(_PORTS)
_turn = itertools.cycle(_PORTS)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens, and none that was returned lately.

    Two servers are often given their ports before either listens, and a test may keep its server down for
    a while: a port drawn anew each time would sooner or later be the same one.
    """
    for port in itertools.islice(_turn, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("found no free port in 200 tries")


def accepts_connections(port: int) -> bool:
    """Whether something listens on that port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
