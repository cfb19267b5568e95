"""Free TCP ports on 127.0.0.1."""

import os
import random
import socket

# Below the ephemeral range: no outgoing connection can take the port between the check and the
# server's bind, nor while a test keeps the server down (a client would even connect to itself).
_FIRST, _LAST = 20_000, 32_000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# Test processes that run at once must not take one another's between check and bind.
_RANGE = range(_FIRST + _WORKER, _LAST, _WORKERS)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    for _ in range(200):
        port = random.choice(_RANGE)
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
