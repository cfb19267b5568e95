"""Session registry: the open sessions of an engine, the lingering ones, and whether new ones may be opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from rtserver.engine.session.interfaces import SessionEntry
from rtserver.engine.session.session import Session


class SessionRegistry:
    """Implements `Registry`, to which sessions report their end."""

    __slots__ = ("_websockets", "accepting", "crowded", "lingering", "open", "yielding")

    def __init__(self) -> None:
        self.open: dict[str, Session] = {}
        """By session id."""
        self.lingering: dict[str, Session] = {}
        """Ended sessions with packets left for one more poll, by session id."""
        self.accepting = True
        """False: no more sessions are opened; handshakes are refused with 503."""
        self.yielding = False
        """True: new sessions are opened by other workers, as long as one of them does."""
        self.crowded: Callable[[], bool] = _never
        """Whether a worker with fewer sessions should open the next one."""
        self._websockets = 0

    @property
    def opens_here(self) -> bool:
        """Whether a handshake is answered by this process."""
        return self.accepting and not self.yielding and not self.crowded()

    @property
    def is_drained(self) -> bool:
        """Whether no session is open or lingers, and no WebSocket is still closing."""
        return not (self.open or self.lingering or self._websockets)

    def knows(self, sid: str) -> bool:
        """Whether a request for this session is answered by this process."""
        return sid in self.open or sid in self.lingering

    def remove(self, sid: str) -> None:
        self.open.pop(sid, None)

    def add_lingering(self, session: SessionEntry) -> None:
        self.lingering[session.id] = cast("Session", session)

    def remove_lingering(self, sid: str) -> None:
        self.lingering.pop(sid, None)

    def websocket_opened(self) -> None:
        self._websockets += 1

    def websocket_closed(self) -> None:
        self._websockets -= 1


def _never() -> bool:
    """The default of `crowded`, where there is one process."""
    return False
