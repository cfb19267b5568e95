"""Log of calls, for `logger=True` of python-socketio: what the application asks of the server, and which events come.

The lines are python-socketio's, at level info. The methods are wrapped on the one server that logs, so that no other
pays for it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

CALLS = {
    "emit": 'emitting event "{event}" to {to} [{namespace}]',
    "call": 'calling "{event}" of {to} [{namespace}]',
    "enter_room": "{sid} is entering room {room} [{namespace}]",
    "leave_room": "{sid} is leaving room {room} [{namespace}]",
    "close_room": "room {room} is closing [{namespace}]",
    "disconnect": "disconnecting {sid} [{namespace}]",
}
"""The line of each logged method, with the names of its parameters."""


def log_calls(server: Any, logger: Any) -> None:
    """Log each call of these methods of `server`."""
    for name, line in CALLS.items():
        setattr(server, name, _logged(getattr(server, name), line, logger))


def _logged(method: Callable[..., Any], line: str, logger: Any) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        given["namespace"] = given["namespace"] or "/"
        if "to" in given:
            other = given.get("room", given.get("sid"))
            given["to"] = given["to"] if given["to"] is not None else other if other is not None else "all"
        logger.info("%s", line.format(**given))
        return await method(*args, **kwargs)

    return call
