"""Input from python-socketio: executes what `RedisManager(url, write_only=True)` publishes, on the channel `socketio`
unless another is set.

1. Every server of the cluster gets every message and executes it for its own clients.
2. Source of the message format: `socketio/pubsub_manager.py` 5.18 (JSON; `data` is the list of arguments; binary data
   as placeholders, followed by base64).
3. Nothing can be returned this way: callbacks are ignored.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from rtserver.cluster.redis.names import RedisNames
from rtserver.cluster.redis.subscriber import Handler
from rtserver.protocol import json
from rtserver.protocol.adapter import MalformedMessage, Misaddressed
from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.broadcast.target import Target
from rtserver.tasks import Tasks

log = structlog.get_logger("rtserver.cluster")

CHANNEL = RedisNames().python_socketio

Message = Mapping[str, Any]


class Subscribe(Protocol):
    def __call__(self, channel: str, handler: Handler) -> None: ...


class PythonSocketIOInput:
    """`adapter`: only its local methods are called."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._tasks = Tasks()

    def attach(self, subscribe: Subscribe, channel: str = CHANNEL) -> None:
        """Subscribe to the channel; with an empty name, to none."""
        if channel:
            subscribe(channel, self.on_message)

    def on_message(self, channel: str, payload: bytes) -> None:
        """Execute a message; raises `MalformedMessage`, also for a namespace that this server does not have."""
        message = _decode(payload)
        method = message.get("method")
        handler = _HANDLERS.get(method) if isinstance(method, str) else None
        if handler is None:
            raise MalformedMessage("unknown method")
        if method != "callback":
            self._check_namespace(_namespace(message))
        handler(self, message)

    def _check_namespace(self, name: str) -> None:
        rooms = self._adapter.server.rooms_of(name)  # the table of / is there without handlers too
        if not (rooms is not None and rooms.clients) and not self._adapter.server.has_namespace(name):
            default = " (the default, /)" if name == "/" else ""
            raise Misaddressed(f"this server does not have its namespace{default}")

    def _emit(self, message: Message) -> None:
        event = message.get("event")
        if not isinstance(event, str) or event in RESERVED_EVENTS:
            raise MalformedMessage("not an event name")
        target = Target(_rooms(message, "room"), _rooms(message, "skip_sid"))
        self._adapter.local_broadcast(_namespace(message), [event, *_arguments(message)], target)

    def _disconnect(self, message: Message) -> None:
        target = Target((_text(message, "sid"),))
        work = self._adapter.local_disconnect(_namespace(message), target, False)
        self._tasks.spawn(_logged(work))

    def _enter_room(self, message: Message) -> None:
        sid, room = _text(message, "sid"), _text(message, "room")
        self._adapter.local_join(_namespace(message), Target((sid,)), (room,))

    def _leave_room(self, message: Message) -> None:
        sid, room = _text(message, "sid"), _text(message, "room")
        self._adapter.local_leave(_namespace(message), Target((sid,)), (room,))

    def _close_room(self, message: Message) -> None:
        room = _text(message, "room")
        self._adapter.local_leave(_namespace(message), Target((room,)), (room,))

    def _callback(self, message: Message) -> None:
        """Ignore the result of a call between python-socketio servers."""


_HANDLERS: Mapping[str, Callable[[PythonSocketIOInput, Message], None]] = {
    "emit": PythonSocketIOInput._emit,
    "disconnect": PythonSocketIOInput._disconnect,
    "enter_room": PythonSocketIOInput._enter_room,
    "leave_room": PythonSocketIOInput._leave_room,
    "close_room": PythonSocketIOInput._close_room,
    "callback": PythonSocketIOInput._callback,
}


async def _logged(work: Any) -> None:
    try:
        await work
    except Exception:
        log.exception("cluster_request_failed")


def _decode(payload: bytes) -> Message:
    try:
        message = json.loads(payload)
    except ValueError as error:
        raise MalformedMessage(str(error)) from None
    if not isinstance(message, dict):
        raise MalformedMessage("not an object")
    return message


def _namespace(message: Message) -> str:
    namespace = message.get("namespace")
    if namespace is None:
        return "/"
    if not isinstance(namespace, str):
        raise MalformedMessage("namespace is not text")
    return namespace


def _text(message: Message, name: str) -> str:
    value = message.get(name)
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value:
        raise MalformedMessage(f"{name} is not text")
    return value


def _rooms(message: Message, name: str) -> tuple[str, ...]:
    """Read null or "", one name, or a list of names."""
    value = message.get(name)
    if value is None or value == "":
        return ()
    values = value if isinstance(value, list) else [value]
    return tuple(_text({name: item}, name) for item in values)


def _arguments(message: Message) -> list[Any]:
    """Read the arguments; `emit(event)` is sent as `[null]`, which means none."""
    data = message.get("data")
    if message.get("binary"):
        data = _with_attachments(data)
    if data is None or data == [None]:
        return []
    return data if isinstance(data, list) else [data]


def _with_attachments(data: Any) -> Any:
    if not isinstance(data, list) or not data or not all(isinstance(item, str) for item in data[1:]):
        raise MalformedMessage("binary data is a value and its attachments")
    try:
        attachments = [base64.b64decode(item, validate=True) for item in data[1:]]
    except (binascii.Error, ValueError):
        raise MalformedMessage("an attachment is not base64") from None
    return _with_placeholders_replaced(data[0], dict(enumerate(attachments)))


def _with_placeholders_replaced(value: Any, attachments: dict[int, bytes]) -> Any:
    """Each attachment is used once, so that a short message cannot grow into a long one."""
    if isinstance(value, list):
        return [_with_placeholders_replaced(item, attachments) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_placeholder") is not True:
        return {key: _with_placeholders_replaced(item, attachments) for key, item in value.items()}
    number = value.get("num")
    if type(number) is not int or number not in attachments:
        raise MalformedMessage("a placeholder without attachment")
    return attachments.pop(number)
