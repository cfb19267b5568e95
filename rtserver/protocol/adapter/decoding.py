"""Decoding of messages of the classic Redis adapter; requests by a table of their types.

All bytes come from outside: a message of the wrong shape raises `MalformedMessage`, and no other exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rtserver.protocol import msgpack
from rtserver.protocol.adapter import validation
from rtserver.protocol.adapter.messages import Broadcast, MalformedMessage, Options, Request, RequestType, Response
from rtserver.protocol.packets import EVENT


class _Packet(msgspec.Struct):
    data: list[Any]
    type: int = EVENT
    nsp: str = "/"


class _Opts(msgspec.Struct):
    rooms: list[str] = []
    except_: list[str] = msgspec.field(name="except", default_factory=list)
    flags: dict[str, Any] = {}


_decode_common = msgpack.shaped(tuple[str, _Packet, _Opts])
_WITHIN = 2
"""The depth of the values whose type is left open here: in an object, which is in an array."""


def decode_broadcast(payload: bytes) -> Broadcast:
    """Decode a broadcast; the common shape takes the fast path of msgspec."""
    common = _decode_common(payload)
    return _decode_any(payload) if common is None else _checked(*common)


def _checked(uid: str, packet: _Packet, opts: _Opts) -> Broadcast:
    try:
        data = msgpack.plain(packet.data, _WITHIN)
        flags = msgpack.plain(opts.flags, _WITHIN) if opts.flags else {}
    except ValueError as error:
        raise MalformedMessage(str(error)) from None
    rooms = validation.distinct(opts.rooms, "opts.rooms")
    except_ = validation.distinct(opts.except_, "opts.except") if opts.except_ else ()
    return Broadcast(uid, packet.nsp, validation.packet_event(packet.type, data), Options(rooms, except_, flags))


def _decode_any(payload: bytes) -> Broadcast:
    try:
        message = msgpack.loads(payload)
    except ValueError as error:
        raise MalformedMessage(str(error)) from None
    if not isinstance(message, list) or len(message) < 3:
        raise MalformedMessage("a broadcast is an array of uid, packet and options")
    nsp, args = validation.packet(message[1])
    return Broadcast(message[0], nsp, args, validation.options(message[2]))


def decode_request(payload: bytes) -> Request:
    """Decode a request."""
    body = validation.decoded(payload)
    try:
        kind = RequestType(body["type"])
        read = _READERS[kind]
    except (ValueError, TypeError, KeyError):
        raise MalformedMessage("unknown request type") from None
    return Request(kind, validation.identifier(body, "uid"), validation.identifier(body, "requestId"), **read(body))


def decode_response(payload: bytes) -> Response:
    """Decode a response; its fields are checked by the request that it belongs to."""
    body = validation.decoded(payload)
    request_id, kind = validation.text(body, "requestId"), body.get("type")
    if not request_id:
        raise MalformedMessage("a response without requestId")
    return Response(request_id, kind if type(kind) is int else None, body)


def _read_addressed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the addressed sockets; old servers name a single one."""
    if "opts" in body:
        return {"options": validation.options(body["opts"])}
    return {"options": Options((validation.name(body.get("sid"), "sid"),)), "reply_only_if_present": True}


def _read_membership(body: Mapping[str, Any]) -> dict[str, Any]:
    addressed = _read_addressed(body)
    rooms = [body.get("room")] if "reply_only_if_present" in addressed else body.get("rooms")
    return {**addressed, "rooms": validation.names(rooms, "rooms")}


def _read_broadcast(body: Mapping[str, Any]) -> dict[str, Any]:
    nsp, args = validation.packet(body.get("packet"))
    return {"nsp": nsp, "args": args, "options": validation.options(body.get("opts"))}


_READERS: Mapping[RequestType, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    RequestType.SOCKETS: lambda body: {"options": Options(validation.names(body.get("rooms") or [], "rooms"))},
    RequestType.ALL_ROOMS: lambda body: {},
    RequestType.REMOTE_JOIN: _read_membership,
    RequestType.REMOTE_LEAVE: _read_membership,
    RequestType.REMOTE_DISCONNECT: lambda body: {**_read_addressed(body), "close": body.get("close") is True},
    RequestType.REMOTE_FETCH: lambda body: {"options": validation.options(body.get("opts"))},
    RequestType.SERVER_SIDE_EMIT: lambda body: {"args": validation.event(body.get("data"))},
    RequestType.BROADCAST: _read_broadcast,
}
