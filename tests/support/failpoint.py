"""A plugin that kills its own server at a seam: what carries `FATAL` is committed, and never broadcast."""

import os
import signal
from collections.abc import Sequence
from typing import Any

from rtserver import Namespace
from rtserver.namespaces.notifications.namespace import Notifications
from rtserver.sio.broadcast.operator import Operator

FATAL = "the last words of this server"


class Failpoint(Namespace, path="/failpoint"):
    auth = "none"

    def __init__(self) -> None:
        super().__init__()
        emit, push = Operator.emit, Notifications.push

        async def fatal_emit(self: Operator, event: str, *args: Any) -> None:
            if event in ("message", "messageEdited") and args[0]["text"] == FATAL:
                os.kill(os.getpid(), signal.SIGKILL)
            await emit(self, event, *args)

        async def fatal_push(self: Notifications, pushes: Sequence[tuple[str, dict[str, Any]]]) -> None:
            if any(note["message"] == FATAL for _, note in pushes):
                os.kill(os.getpid(), signal.SIGKILL)
            await push(self, pushes)

        Operator.emit = fatal_emit  # type: ignore[method-assign]
        Notifications.push = fatal_push  # type: ignore[method-assign]
