"""Unsupported parts of python-socketio's API: arguments that would have no effect here, and so raise.

An argument that is accepted and ignored is found out in production. Therefore each argument of python-socketio and
python-engineio either works or raises when the server is made, and so does one that nobody knows.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import engineio
import socketio

from rtserver.engine.server import Engine

TRANSPORTS = ("polling", "websocket")


def _no_grace(interval: Any) -> bool:
    return not isinstance(interval, tuple) or (len(interval) == 2 and not interval[1])


def _known_transports(transports: Any) -> bool:
    names = [transports] if isinstance(transports, str) else transports
    return names is None or all(name in TRANSPORTS for name in names)


_Check = tuple[Callable[[Any], bool], str]
"""Whether a value is supported, and what to do where it is not."""

CHECKS: Mapping[str, _Check] = {
    "async_mode": (
        lambda mode: mode in (None, "aiohttp"),
        "rtserver.Server serves aiohttp applications only: leave async_mode out, and call sio.attach(app)",
    ),
    "always_connect": (
        lambda on: not on,
        "a client is connected when its connect handler has accepted it, and gets what that emitted right after: "
        "leave always_connect out",
    ),
    "json": (
        lambda codec: codec is None,
        "packets are always encoded by rtserver itself: leave json out, and convert your types before you emit",
    ),
    "monitor_clients": (
        lambda on: on in (None, True),
        "clients that do not answer a ping are always closed: leave monitor_clients out",
    ),
    "ping_interval": (
        _no_grace,
        "ping_interval is a number of seconds: add the grace period to ping_timeout",
    ),
    "transports": (
        _known_transports,
        f"the transports are {' and '.join(TRANSPORTS)}",
    ),
}


def check_arguments(arguments: Mapping[str, Any], others: Iterable[str]) -> None:
    """Check what a constructor passes on to python-socketio and the engine; `others`: the arguments it takes itself.

    Raises `ValueError` for a value without effect, `TypeError` for an unknown argument.
    """
    known = _known_arguments()
    for name, value in arguments.items():
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *others], 1)
            raise TypeError(f"rtserver.Server has no argument {name!r}" + (f", but {near[0]!r}" if near else ""))
        supported, sentence = CHECKS.get(name, (None, ""))
        if supported is not None and not supported(value):
            raise ValueError(f"{name}={value!r:.80} is not supported: {sentence}")


def _known_arguments() -> set[str]:
    constructors = (socketio.AsyncServer, *socketio.AsyncServer.__mro__[1:-1], engineio.AsyncServer, Engine)
    names: set[str] = set()
    for constructor in (*constructors, *engineio.AsyncServer.__mro__[1:-1]):
        parameters = inspect.signature(constructor.__init__).parameters.values()
        names |= {each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}
    # python-socketio reads `engineio_logger` from its `**kwargs`; `Server` passes the others to the engine itself.
    return (names | {"engineio_logger"}) - {"self", "listener", "metrics", "instance_id"}


def unsupported(name: str, instead: str) -> NoReturn:
    """Raise `NotImplementedError` for a method; `instead`: what to use."""
    raise NotImplementedError(f"{name} is not supported by rtserver.Server: {instead}")
