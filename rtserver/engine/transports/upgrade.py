"""Upgrade from polling to WebSocket, as the client drives it: `2probe` → `3probe` → `5`.

1. While it is in progress, messages keep going by polling. A poll that hangs is released every 100 ms, so that the
   client can stop polling. The WebSocket never carries those NOOPs.
2. Any other packet on the WebSocket, or silence, aborts the upgrade and leaves the session on polling.
3. A session that is closed meanwhile does not abort it: `5` brings the last packets, then the close, unless a poll has
   taken them before.

Source: https://socket.io/docs/v4/engine-io-protocol/#upgrade
"""

from __future__ import annotations

from rtserver.engine.session.interfaces import Send
from rtserver.engine.session.session import Session
from rtserver.engine.transports.websocket import WebSocket
from rtserver.protocol.frames import TEXT, frame
from rtserver.timer_wheel import Timer, Wheel

PROBE, PROBED, UPGRADE = "2probe", "3probe", "5"
UPGRADE_SECONDS = 10.0
RELEASE_SECONDS = 0.1


class Upgrade(Timer):
    """The sink of the new WebSocket until this becomes the session's. As a timer, it releases polls until time is up.

    It implements `PendingUpgrade` for the session.
    """

    __slots__ = ("_base64", "_releases_left", "_session", "_socket", "_wheel", "paused", "probed")

    def __init__(self, wheel: Wheel, session: Session, socket: WebSocket, base64: bool) -> None:
        """`base64`: the client cannot receive binary data over this WebSocket."""
        super().__init__()
        self.paused = False
        self.probed = False
        self._wheel = wheel
        self._session = session
        self._socket = socket
        self._base64 = base64
        self._releases_left = round(UPGRADE_SECONDS / RELEASE_SECONDS)
        session.upgrade = self
        wheel.start(self, RELEASE_SECONDS)

    def receive_text(self, text: str) -> None:
        """One text frame of the new WebSocket."""
        if text == PROBE and not self.probed:
            self.probed = True
            self._socket.write_control(frame(PROBED.encode(), TEXT))
            self._session.release_poll()
        elif text == UPGRADE and self.probed:
            self._wheel.stop(self)
            self._session.base64 = self._base64
            self._session.complete_upgrade(self._socket)
        else:
            self.abort()

    def receive_binary(self, data: bytes) -> None:
        """No packet of an upgrade is binary."""
        self.abort()

    def fire(self) -> None:
        """Release the poll that hangs, or abort when time is up."""
        self._releases_left -= 1
        if self._releases_left <= 0:
            self.abort()
            return
        if self.probed:
            self._session.release_poll()
        self._wheel.start(self, RELEASE_SECONDS)

    def abort(self) -> None:
        """Close the WebSocket; the session stays on polling."""
        self.socket_lost("")
        self._socket.close()

    def socket_lost(self, reason: str) -> None:
        """The WebSocket is closed; the session stays on polling."""
        self._wheel.stop(self)
        if self._session.upgrade is self:
            self._session.upgrade = None

    def set_direct_send(self, send: Send | None) -> None:
        """Has no effect: messages are sent by polling until the upgrade is complete."""
