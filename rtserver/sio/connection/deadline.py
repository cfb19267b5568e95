"""Deadline of a connection: closes it when it joined no namespace in time, or when a client's identity expired.

One timer for each connection, on the engine's wheel, set to the nearer of the two, and not set when neither can come.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.sio.connection.interfaces import JoiningConnection

log = structlog.get_logger("rtserver.sio")

MAX_WAIT = 3600.0
"""Seconds. Expiry is in wall-clock time, and the clock may be set, so it is checked again every hour."""

REJECTED_SECONDS = 1.0
"""How long a rejected connection stays open, so that the client can read the reason."""


class Deadline(Timer):
    """`join_within`: seconds to join a namespace. `leeway`: seconds for which an expired identity is still accepted."""

    __slots__ = ("_connection", "_join_within", "_leeway", "_shortened")

    def __init__(self, connection: JoiningConnection, join_within: float, leeway: float) -> None:
        super().__init__()
        self._connection = connection
        self._join_within = join_within
        self._leeway = leeway
        self._shortened = False
        self._set(join_within)

    def cancel(self) -> None:
        """Stop the timer."""
        self._connection.server.engine.wheel.stop(self)

    def shorten(self) -> None:
        """The connection was rejected: close it soon, unless it is in a namespace."""
        if not self._connection.ever_joined and not self._shortened:
            self._shortened = True
            self._set(REJECTED_SECONDS)

    def update(self) -> None:
        """A client joined or its identity changed: set the timer again."""
        self.cancel()
        expires = [c.identity.expires_at for c in self._connection.clients if c.identity is not None]
        nearest = min((at for at in expires if at is not None), default=None)
        if nearest is not None:
            self._set(nearest + self._leeway - time.time())

    def _set(self, seconds: float) -> None:
        self._connection.server.engine.wheel.start(self, min(max(seconds, 0.0), MAX_WAIT))

    def fire(self) -> None:
        connection = self._connection
        if not connection.ever_joined:
            if connection.connecting:
                self._set(self._join_within)
            else:
                self._end("turned_away" if self._shortened else "never_joined")
        elif any(self._expired(client.identity.expires_at) for client in connection.clients if client.identity):
            self._end("identity_expired")
        else:
            self.update()

    def _expired(self, at: float | None) -> bool:
        return at is not None and at + self._leeway <= time.time()

    def _end(self, reason: str) -> None:
        connection = self._connection
        session = connection.engine_session.public_id
        log.info("connection_ended", reason=reason, session=session, address=connection.handshake.address)
        connection.server.metrics.ended(reason)
        connection.close(connection.server.reason.SERVER_DISCONNECT)
