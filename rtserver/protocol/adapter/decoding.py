"""Bytes to messages of the classic Redis adapter, request by request through a table.

Everything read here came from outside: what does not have the shape that the table asks for raises
`MalformedMessage`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rtserver.protocol import json, msgpack
from rtserver.protocol.adapter.messages import (
    Broadcast,
    MalformedMessage,
    Options,
    Request,
    RequestType,
    Response,
)
from rtserver.protocol.packets import BINARY_EVENT, EVENT, RESERVED_EVENTS


def decode_broadcast(payload: bytes) -> Broadcast:
    try:
        message = msgpack.loads(payload)
    except ValueError as error:
        raise MalformedMessage(str(error)) from None
    if not isinstance(message, list) or len(message) < 3:
        raise MalformedMessage("a broadcast is an array of uid, packet and options")
    nsp, args = _read_packet(message[1])
    return Broadcast(message[0], nsp, args, _read_options(message[2]))


def decode_request(payload: bytes) -> Request:
    body = _decode(payload)
    try:
        kind = RequestType(body["type"])
        read = _READERS[kind]
    except (ValueError, TypeError, KeyError):
        raise MalformedMessage("unknown request type") from None
    return Request(kind, _text(body, "uid"), _text(body, "requestId"), **read(body))


def decode_response(payload: bytes) -> Response:
    body = _decode(payload)
    request_id, kind = _text(body, "requestId"), body.get("type")
    if not request_id:
        raise MalformedMessage("a response without requestId")
    return Response(request_id, kind if type(kind) is int else None, body)


def _decode(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload) if payload[:1] == b"{" else msgpack.loads(payload)
    except ValueError as error:
        raise MalformedMessage(str(error)) from None
    if not isinstance(body, dict):
        raise MalformedMessage("not an object")
    return body


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedMessage(f"{name} is not text")
    return value


def _names(value: Any, what: str) -> tuple[str, ...]:
    """Room names. Node lets numbers be rooms; ours are text."""
    if not isinstance(value, list):
        raise MalformedMessage(f"{what} is not a list")
    return tuple(_name(item, what) for item in value)


def _name(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise MalformedMessage(f"{what} holds what is no room name")


def _event(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value or not (isinstance(value[0], str) or type(value[0]) is int):
        raise MalformedMessage("data is not an event with arguments")
    return value


def _read_packet(packet: Any) -> tuple[str, list[Any]]:
    if not isinstance(packet, dict) or packet.get("type", EVENT) not in (EVENT, BINARY_EVENT):
        raise MalformedMessage("not an EVENT packet")
    args = _event(packet.get("data"))
    if args[0] in RESERVED_EVENTS:
        raise MalformedMessage(f"{args[0]} is a reserved event name")
    nsp = _text(packet, "nsp")
    return "/" if nsp is None else nsp, args


def _read_options(value: Any) -> Options:
    if not isinstance(value, dict):
        raise MalformedMessage("opts is not an object")
    flags = value.get("flags")
    return Options(
        _names(value.get("rooms") or [], "opts.rooms"),
        _names(value.get("except") or [], "opts.except"),
        flags if isinstance(flags, dict) else {},
    )


def _read_addressed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The sockets that join, leave or go; old servers name a single one."""
    if "opts" in body:
        return {"options": _read_options(body["opts"])}
    return {"options": Options((_name(body.get("sid"), "sid"),)), "reply_only_if_present": True}


def _read_membership(body: Mapping[str, Any]) -> dict[str, Any]:
    addressed = _read_addressed(body)
    rooms = [body.get("room")] if "reply_only_if_present" in addressed else body.get("rooms")
    return {**addressed, "rooms": _names(rooms, "rooms")}


def _read_broadcast(body: Mapping[str, Any]) -> dict[str, Any]:
    nsp, args = _read_packet(body.get("packet"))
    return {"nsp": nsp, "args": args, "options": _read_options(body.get("opts"))}


_READERS: Mapping[RequestType, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    RequestType.SOCKETS: lambda body: {"options": Options(_names(body.get("rooms") or [], "rooms"))},
    RequestType.ALL_ROOMS: lambda body: {},
    RequestType.REMOTE_JOIN: _read_membership,
    RequestType.REMOTE_LEAVE: _read_membership,
    RequestType.REMOTE_DISCONNECT: lambda body: {**_read_addressed(body), "close": body.get("close") is True},
    RequestType.REMOTE_FETCH: lambda body: {"options": _read_options(body.get("opts"))},
    RequestType.SERVER_SIDE_EMIT: lambda body: {"args": _event(body.get("data"))},
    RequestType.BROADCAST: _read_broadcast,
}
