"""The upgrade from polling to WebSocket, as the client drives it: `2probe` → `3probe` → `5`.

While it lasts, messages keep going by polling; a poll that hangs is released every 100 ms, so that the client can stop
polling. The WebSocket never sees those NOOPs. Anything else than these packets, or silence, ends the upgrade and
leaves the session as it is. Source: https://socket.io/docs/v4/engine-io-protocol/#upgrade
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtserver.protocol.frames import TEXT, frame
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.engine.session.session import Session
    from rtserver.engine.transports.websocket import WebSocket

PROBE, PROBED, UPGRADE = "2probe", "3probe", "5"
UPGRADE_SECONDS = 10.0
RELEASE_SECONDS = 0.1


class Upgrade(Timer):
    """Owns the new WebSocket until it becomes the session's. As a timer, it releases polls until time is up."""

    __slots__ = ("_base64", "_engine", "_left", "_session", "_socket", "paused", "probed")

    def __init__(self, engine: Engine, session: Session, socket: WebSocket, base64: bool) -> None:
        """`base64`: the client cannot take binary data over this WebSocket."""
        super().__init__()
        self.paused = False
        self.probed = False
        self._engine = engine
        self._session = session
        self._socket = socket
        self._base64 = base64
        self._left = round(UPGRADE_SECONDS / RELEASE_SECONDS)
        session.upgrading = self
        engine.wheel.start(self, RELEASE_SECONDS)

    def text(self, text: str) -> None:
        if text == PROBE and not self.probed:
            self.probed = True
            self._socket.write_control(frame(PROBED.encode(), TEXT))
            self._session.release()
        elif text == UPGRADE and self.probed:
            self._engine.wheel.stop(self)
            self._session.base64 = self._base64
            self._session.upgraded(self._socket)
        else:
            self.give_up()

    def binary(self, data: bytes) -> None:
        self.give_up()

    def fire(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.give_up()
            return
        if self.probed:
            self._session.release()
        self._engine.wheel.start(self, RELEASE_SECONDS)

    def give_up(self) -> None:
        """The session goes on by polling."""
        self.socket_lost("")
        self._socket.close()

    def socket_lost(self, reason: str) -> None:
        self._engine.wheel.stop(self)
        if self._session.upgrading is self:
            self._session.upgrading = None

    def write_through(self, send: Callable[[bytes], int] | None) -> None:
        """Nothing is sent to a socket that is on probation."""
