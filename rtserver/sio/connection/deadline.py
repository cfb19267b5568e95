"""When a connection must end by itself: nobody joined a namespace in time, or the identity of a client expired.

One timer a connection, on the engine's wheel, set to the nearest of both, and none when neither can come.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.sio.connection.joined_namespaces import JoinedNamespaces

log = structlog.get_logger("rtserver.sio")

# The wall clock may be set meanwhile: look again every hour.
LONGEST = 3600.0

REFUSED_SECONDS = 1.0
"""For a client that was turned away to read why."""


class Deadline(Timer):
    """`leeway`: seconds that an identity stays good past its `expires_at`, as the check of tokens has it."""

    __slots__ = ("_connection", "_hurried", "_join_within", "_leeway")

    def __init__(self, connection: JoinedNamespaces, join_within: float, leeway: float) -> None:
        super().__init__()
        self._connection = connection
        self._join_within = join_within
        self._leeway = leeway
        self._hurried = False
        self._set(join_within)

    def cancel(self) -> None:
        self._connection.server.engine.wheel.stop(self)

    def hasten(self) -> None:
        """There were too many connections: unless it is in a namespace, it goes."""
        if not self._connection.joined and not self._hurried:
            self._hurried = True
            self._set(REFUSED_SECONDS)

    def review(self) -> None:
        """A client came or got another identity: set the timer anew."""
        self.cancel()
        expires = [c.identity.expires_at for c in self._connection.clients if c.identity is not None]
        nearest = min((at for at in expires if at is not None), default=None)
        if nearest is not None:
            self._set(nearest + self._leeway - time.time())

    def _set(self, seconds: float) -> None:
        self._connection.server.engine.wheel.start(self, min(max(seconds, 0.0), LONGEST))

    def fire(self) -> None:
        connection = self._connection
        if not connection.joined:
            if connection.connecting:
                self._set(self._join_within)
            else:
                self._end("turned_away" if self._hurried else "never_joined")
        elif any(self._expired(client.identity.expires_at) for client in connection.clients if client.identity):
            self._end("identity_expired")
        else:
            self.review()

    def _expired(self, at: float | None) -> bool:
        return at is not None and at + self._leeway <= time.time()

    def _end(self, why: str) -> None:
        connection = self._connection
        log.info("connection_ended", reason=why, session=connection.id, address=connection.handshake.address)
        connection.server.metrics.ended(why)
        connection.close(connection.server.reason.SERVER_DISCONNECT)
