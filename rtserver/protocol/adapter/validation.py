"""Validation of the parts that messages of both adapter protocols consist of.

A value of the wrong shape raises `MalformedMessage`, and no other exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtserver.protocol import json, msgpack
from rtserver.protocol.adapter.messages import MAX_ITEMS, MalformedMessage, Options
from rtserver.protocol.packets import BINARY_EVENT, EVENT, RESERVED_EVENTS

MAX_ID = 200
"""Characters of the id of a server or of a request; those of Node have 6 or 16."""

_BRACE = ord("{")


def decoded(payload: bytes) -> dict[str, Any]:
    """Decode an object from JSON or MessagePack."""
    try:
        body = json.loads(payload) if payload[:1] == b"{" else msgpack.loads(payload)
    except ValueError as error:
        raise MalformedMessage(str(error)) from None
    if not isinstance(body, dict):
        raise MalformedMessage("not an object")
    return body


def check_shape(payload: bytes) -> None:
    """Check without decoding that the first byte is that of a JSON object or of a MessagePack map."""
    first = payload[0] if payload else 0
    if not (first == _BRACE or 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)):
        raise MalformedMessage("not an object")


def text(body: Mapping[str, Any], field: str) -> str | None:
    """Return a text field, None if it is missing."""
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise MalformedMessage(f"{field} is not text")
    return value


def identifier(body: Mapping[str, Any], field: str) -> str | None:
    """Return an id, None if it is missing. It is repeated in each response, so its length is bounded."""
    value = text(body, field)
    if value is not None and len(value) > MAX_ID:
        raise MalformedMessage(f"{field} is too long")
    return value


def names(value: Any, what: str) -> tuple[str, ...]:
    """Return room names, each once. In Node a number may be a room; here it becomes text."""
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise MalformedMessage(f"{what} is not a list, or too long")
    return tuple(dict.fromkeys(name(item, what) for item in value))


def distinct(names: list[str], what: str) -> tuple[str, ...]:
    """Return room names that are known to be text, each once."""
    if len(names) > MAX_ITEMS:
        raise MalformedMessage(f"{what} is too long")
    return tuple(names) if len(names) < 2 else tuple(dict.fromkeys(names))


def name(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if type(value) is float:  # as JS writes it
        return str(int(value)) if value.is_integer() else repr(value)
    raise MalformedMessage(f"{what} holds what is no room name")


def event(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value or not (isinstance(value[0], str) or type(value[0]) is int):
        raise MalformedMessage("data is not an event with arguments")
    return value


def packet(value: Any) -> tuple[str, list[Any]]:
    if not isinstance(value, dict):
        raise MalformedMessage("not an EVENT packet")
    args = packet_event(value.get("type", EVENT), value.get("data"))
    nsp = text(value, "nsp")
    return "/" if nsp is None else nsp, args


def packet_event(kind: Any, data: Any) -> list[Any]:
    """What a packet of this type carries."""
    if kind not in (EVENT, BINARY_EVENT):
        raise MalformedMessage("not an EVENT packet")
    args = event(data)
    if args[0] in RESERVED_EVENTS:
        raise MalformedMessage(f"{args[0]} is a reserved event name")
    return args


def options(value: Any) -> Options:
    if not isinstance(value, dict):
        raise MalformedMessage("opts is not an object")
    flags = value.get("flags")
    return Options(
        names(value.get("rooms") or [], "opts.rooms"),
        names(value.get("except") or [], "opts.except"),
        flags if isinstance(flags, dict) else {},
    )
