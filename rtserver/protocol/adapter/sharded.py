"""Sharded adapter protocol: the messages of Node's sharded Redis adapter, channel names, decoding and encoding. No I/O.

Source of every rule: `@socket.io/redis-adapter` 8.3 (`dist/sharded-adapter.js`, subscription mode "dynamic") and the
`ClusterAdapter` of `socket.io-adapter` 2.5. Requests and responses are decoded to the same values as those of the
classic adapter, so the code that handles them is the same.

An envelope is `{uid, nsp, type, data}`: JSON when its first byte is `{`, else MessagePack.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

from rtserver.protocol.adapter import validation
from rtserver.protocol.adapter.encoding import encoded
from rtserver.protocol.adapter.messages import Broadcast, MalformedMessage, Options, Request, RequestType, Response
from rtserver.protocol.packets import EVENT

_SOCKET_ID_LENGTH = 20


class MessageType(IntEnum):
    BROADCAST = 3
    SOCKETS_JOIN = 4
    SOCKETS_LEAVE = 5
    DISCONNECT_SOCKETS = 6
    FETCH_SOCKETS = 7
    FETCH_SOCKETS_RESPONSE = 8
    SERVER_SIDE_EMIT = 9
    SERVER_SIDE_EMIT_RESPONSE = 10
    BROADCAST_CLIENT_COUNT = 11
    BROADCAST_ACK = 12


_REQUESTS = {
    RequestType.REMOTE_JOIN: MessageType.SOCKETS_JOIN,
    RequestType.REMOTE_LEAVE: MessageType.SOCKETS_LEAVE,
    RequestType.REMOTE_DISCONNECT: MessageType.DISCONNECT_SOCKETS,
    RequestType.REMOTE_FETCH: MessageType.FETCH_SOCKETS,
    RequestType.SERVER_SIDE_EMIT: MessageType.SERVER_SIDE_EMIT,
    RequestType.BROADCAST: MessageType.BROADCAST,
}
_KINDS: Mapping[MessageType | None, RequestType] = {message: request for request, message in _REQUESTS.items()}

# The response to each request, and its fields by the names of the classic adapter.
_RESPONSES: Mapping[RequestType, tuple[MessageType, Mapping[str, str]]] = {
    RequestType.REMOTE_FETCH: (MessageType.FETCH_SOCKETS_RESPONSE, {"sockets": "sockets"}),
    RequestType.SERVER_SIDE_EMIT: (MessageType.SERVER_SIDE_EMIT_RESPONSE, {"data": "packet"}),
    RequestType.BROADCAST_CLIENT_COUNT: (MessageType.BROADCAST_CLIENT_COUNT, {"clientCount": "clientCount"}),
    RequestType.BROADCAST_ACK: (MessageType.BROADCAST_ACK, {"packet": "packet"}),
}
_CLASSIC_RESPONSES: Mapping[MessageType | None, tuple[RequestType, Mapping[str, str]]] = {
    message: (request, names) for request, (message, names) in _RESPONSES.items()
}
_KNOWN = frozenset(MessageType)


def new_uid() -> str:
    """Return a new id of a server in a namespace, or of a request."""
    return secrets.token_hex(8)


class ShardedChannels:
    """The channel names of one namespace. All have the same beginning, so only the whole name identifies a channel."""

    __slots__ = ("public",)

    def __init__(self, prefix: str, nsp: str) -> None:
        self.public = f"{prefix}#{nsp}#"

    def response_to(self, uid: str) -> str:
        """Return the channel for responses to that server."""
        return f"{self.public}{uid}#"

    def of_room(self, room: str) -> str | None:
        """Return the channel of a room; None for a name as long as a socket id, which Node broadcasts publicly."""
        length = len(room) if room.isascii() else len(room.encode("utf-16-le", "surrogatepass")) // 2
        return None if length == _SOCKET_ID_LENGTH else f"{self.public}{room}#"

    def broadcast_to(self, rooms: Sequence[str]) -> str:
        """Return the channel of a broadcast: of the room, if it is a single one, else the public channel."""
        return (self.of_room(rooms[0]) if len(rooms) == 1 else None) or self.public


def encode_broadcast(uid: str, nsp: str, args: Sequence[Any], options: Options, request_id: str | None = None) -> bytes:
    """Encode a broadcast; with `request_id`, one that requests acks."""
    data = {"packet": {"type": EVENT, "data": list(args), "nsp": nsp}, "opts": options.wire(flags=True)}
    return _envelope(uid, nsp, MessageType.BROADCAST, data, request_id)


def encode_request(
    kind: RequestType, *, uid: str | None, nsp: str, request_id: str | None = None, **fields: Any
) -> bytes:
    """Encode a request; `fields` as the classic adapter names them: opts, rooms, close, data."""
    if kind is RequestType.SERVER_SIDE_EMIT:
        fields = {"packet": fields["data"]}
    elif "opts" in fields:  # Node reads the flags of every request
        fields["opts"] = {"flags": {}, **fields["opts"]}
    return _envelope(uid, nsp, _REQUESTS[kind], fields, request_id)


def encode_response(kind: RequestType, *, uid: str, nsp: str, request_id: str, **fields: Any) -> bytes:
    """Encode a response; `fields` as the classic adapter names them: sockets, data, clientCount, packet."""
    message, names = _RESPONSES[kind]
    return _envelope(uid, nsp, message, {names.get(name, name): value for name, value in fields.items()}, request_id)


def decode_message(payload: bytes, nsp: str) -> Broadcast | Request | None:
    """Decode a broadcast or request; None for a well-formed message of another namespace or of another type.

    Raises `MalformedMessage`.
    """
    body = validation.decoded(payload)
    data = _data_of(body, nsp)
    kind = _KINDS.get(_type(body))
    if data is None or kind is None:
        return None
    uid, request_id = validation.identifier(body, "uid"), validation.identifier(data, "requestId")
    fields = _READERS[kind](data)
    if kind is RequestType.BROADCAST and request_id is None:
        return Broadcast(uid, nsp, fields["args"], fields["options"])
    return Request(kind, uid, request_id, **{**fields, "nsp": nsp})


def decode_response(payload: bytes, nsp: str) -> Response | None:
    """Decode a response; None and errors as in `decode_message`."""
    body = validation.decoded(payload)
    data = _data_of(body, nsp)
    classic = _CLASSIC_RESPONSES.get(_type(body))
    if data is None or classic is None:
        return None
    request_id = validation.text(data, "requestId")
    if not request_id:
        raise MalformedMessage("a response without requestId")
    kind, names = classic
    return Response(request_id, int(kind), {**data, **{name: data.get(own) for name, own in names.items()}})


def _envelope(uid: str | None, nsp: str, kind: MessageType, data: Mapping[str, Any], request_id: str | None) -> bytes:
    identified = {**data, "requestId": request_id} if request_id is not None else data
    sender = {"uid": uid} if uid is not None else {}
    return encoded({**sender, "nsp": nsp, "type": int(kind), "data": identified})


def _type(body: Mapping[str, Any]) -> MessageType | None:
    """Return the type; None for the types of adapters with heartbeats, which this one has not."""
    kind = body.get("type")
    if type(kind) is not int:
        raise MalformedMessage("type is not a number")
    return MessageType(kind) if kind in _KNOWN else None


def _data_of(body: Mapping[str, Any], nsp: str) -> Mapping[str, Any] | None:
    if validation.text(body, "nsp") != nsp:
        return None
    data = body.get("data")
    if data is not None and not isinstance(data, dict):
        raise MalformedMessage("data is not an object")
    return data or {}


def _membership(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"options": validation.options(data.get("opts")), "rooms": validation.names(data.get("rooms"), "rooms")}


_READERS: Mapping[RequestType, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    RequestType.REMOTE_JOIN: _membership,
    RequestType.REMOTE_LEAVE: _membership,
    RequestType.REMOTE_DISCONNECT: lambda data: {
        "options": validation.options(data.get("opts")),
        "close": data.get("close") is True,
    },
    RequestType.REMOTE_FETCH: lambda data: {"options": validation.options(data.get("opts"))},
    RequestType.SERVER_SIDE_EMIT: lambda data: {"args": validation.event(data.get("packet"))},
    RequestType.BROADCAST: lambda data: {
        "args": validation.packet(data.get("packet"))[1],
        "options": validation.options(data.get("opts")),
    },
}
