"""Control channel between a worker and its supervisor, over a socket pair that only these two hold.

    worker → supervisor: LISTENING once it accepts connections, READY once `/readyz` returns 200,
                         YIELDED in answer to each YIELD
    supervisor → worker: YIELD to leave new sessions to the other workers, TAKE to open them again,
                         STOP to leave, HURRY to leave without delay

1. Each message is one byte. The bytes are a wire format: during an upgrade the two ends run different versions.
2. End of file tells the worker that the supervisor is gone, however it ended; the worker then leaves without delay.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

LISTENING: Final = b"l"
READY: Final = b"r"
YIELDED: Final = b"y"
YIELD: Final = b"n"
TAKE: Final = b"t"
STOP: Final = b"s"
HURRY: Final = b"h"


class ControlChannel:
    """One end. `on_message` gets each byte, and b"" when the other end has closed."""

    def __init__(self, end: socket.socket, on_message: Callable[[bytes], None]) -> None:
        self._end = end
        self._on_message = on_message
        end.setblocking(False)
        asyncio.get_running_loop().add_reader(end, self._read)

    def send(self, message: bytes) -> None:
        """Send one message; nothing happens when the other end is gone."""
        with suppress(OSError):
            self._end.send(message)

    def close(self) -> None:
        """Close this end; may be called again."""
        if self._end.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._end)
            self._end.close()

    def _read(self) -> None:
        try:
            messages = self._end.recv(64)
        except BlockingIOError:
            return
        except OSError:
            messages = b""
        if not messages:
            self.close()
            self._on_message(b"")
        for at in range(len(messages)):
            self._on_message(messages[at : at + 1])
