"""What a worker and its supervisor say to each other, over a pair of sockets that only they have.

    worker → supervisor: LISTENING once it takes connections, READY once `/readyz` says so, YIELDED for every YIELD
    supervisor → worker: YIELD, to leave new sessions to the others, and TAKE, to open them again; STOP, and HURRY for
                         one that is to be quicker

Each is one byte. When the supervisor is gone, however it ended, the worker reads the end of the line, and hurries.
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
    """One end. `heard` gets each byte, and b"" when the other end has gone."""

    def __init__(self, end: socket.socket, heard: Callable[[bytes], None]) -> None:
        self._end = end
        self._heard = heard
        end.setblocking(False)
        asyncio.get_running_loop().add_reader(end, self._read)

    def say(self, word: bytes) -> None:
        with suppress(OSError):
            self._end.send(word)

    def close(self) -> None:
        if self._end.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._end)
            self._end.close()

    def _read(self) -> None:
        try:
            words = self._end.recv(64)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self.close()
            self._heard(b"")
        for place in range(len(words)):
            self._heard(words[place : place + 1])
