"""The messages of Node's sharded Redis adapter: channel names, and envelopes to values and back. No I/O.

Source of every rule: `@socket.io/redis-adapter` 8.3 (`dist/sharded-adapter.js`, subscription mode "dynamic") and the
`ClusterAdapter` of `socket.io-adapter` 2.5. Requests and responses become the same values as those of the classic
adapter, so that whoever acts on them need not know where they came from.

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

# What answers which request, and what the classic adapter calls it.
_RESPONSES: Mapping[RequestType, tuple[MessageType, Mapping[str, str]]] = {
    RequestType.REMOTE_FETCH: (MessageType.FETCH_SOCKETS_RESPONSE, {"sockets": "sockets"}),
    RequestType.SERVER_SIDE_EMIT: (MessageType.SERVER_SIDE_EMIT_RESPONSE, {"data": "packet"}),
    RequestType.BROADCAST_CLIENT_COUNT: (MessageType.BROADCAST_CLIENT_COUNT, {"clientCount": "clientCount"}),
    RequestType.BROADCAST_ACK: (MessageType.BROADCAST_ACK, {"packet": "packet"}),
}
_ANSWERED: Mapping[MessageType | None, tuple[RequestType, Mapping[str, str]]] = {
    message: (request, names) for request, (message, names) in _RESPONSES.items()
}
_KNOWN = frozenset(MessageType)


def new_uid() -> str:
    """For a server in a namespace or for a request."""
    return secrets.token_hex(8)


class ShardedChannels:
    """The channel names of one namespace. All of them begin alike: what comes on which is told by the whole name."""

    __slots__ = ("public",)

    def __init__(self, prefix: str, nsp: str) -> None:
        self.public = f"{prefix}#{nsp}#"

    def response_to(self, uid: str) -> str:
        return f"{self.public}{uid}#"

    def of_room(self, room: str) -> str | None:
        """The room's own channel; None for what is as long as a socket id, which Node publishes to everybody."""
        length = len(room) if room.isascii() else len(room.encode("utf-16-le", "surrogatepass")) // 2
        return None if length == _SOCKET_ID_LENGTH else f"{self.public}{room}#"

    def broadcast_to(self, rooms: Sequence[str]) -> str:
        return (self.of_room(rooms[0]) if len(rooms) == 1 else None) or self.public


def encode_broadcast(uid: str, nsp: str, args: Sequence[Any], options: Options, request_id: str | None = None) -> bytes:
    """`request_id`: a broadcast that wants acks."""
    data = {"packet": {"type": EVENT, "data": list(args), "nsp": nsp}, "opts": options.wire(flags=True)}
    return _envelope(uid, nsp, MessageType.BROADCAST, data, request_id)


def encode_request(
    kind: RequestType, *, uid: str | None, nsp: str, request_id: str | None = None, **fields: Any
) -> bytes:
    """`fields` as the classic adapter names them: opts, rooms, close, data."""
    if kind is RequestType.SERVER_SIDE_EMIT:
        fields = {"packet": fields["data"]}
    elif "opts" in fields:  # Node reads the flags of every request
        fields["opts"] = {"flags": {}, **fields["opts"]}
    return _envelope(uid, nsp, _REQUESTS[kind], fields, request_id)


def encode_response(kind: RequestType, *, uid: str, nsp: str, request_id: str, **fields: Any) -> bytes:
    """`fields` as the classic adapter names them: sockets, data, clientCount, packet."""
    message, names = _RESPONSES[kind]
    return _envelope(uid, nsp, message, {names.get(name, name): value for name, value in fields.items()}, request_id)


def decode_message(payload: bytes, nsp: str) -> Broadcast | Request | None:
    """What is asked of the servers of `nsp`; None for what is not, though it is well-formed."""
    body = validation.decoded(payload)
    data = _opened(body, nsp)
    kind = _KINDS.get(_type(body))
    if data is None or kind is None:
        return None
    uid, request_id = validation.identifier(body, "uid"), validation.identifier(data, "requestId")
    fields = _READERS[kind](data)
    if kind is RequestType.BROADCAST and request_id is None:
        return Broadcast(uid, nsp, fields["args"], fields["options"])
    return Request(kind, uid, request_id, **{**fields, "nsp": nsp})


def decode_response(payload: bytes, nsp: str) -> Response | None:
    body = validation.decoded(payload)
    data = _opened(body, nsp)
    answered = _ANSWERED.get(_type(body))
    if data is None or answered is None:
        return None
    request_id = validation.text(data, "requestId")
    if not request_id:
        raise MalformedMessage("a response without requestId")
    kind, names = answered
    return Response(request_id, int(kind), {**data, **{classic: data.get(own) for classic, own in names.items()}})


def _envelope(uid: str | None, nsp: str, kind: MessageType, data: Mapping[str, Any], request_id: str | None) -> bytes:
    identified = {**data, "requestId": request_id} if request_id is not None else data
    sender = {"uid": uid} if uid is not None else {}
    return encoded({**sender, "nsp": nsp, "type": int(kind), "data": identified})


def _type(body: Mapping[str, Any]) -> MessageType | None:
    """None for the types of adapters that have heartbeats."""
    kind = body.get("type")
    if type(kind) is not int:
        raise MalformedMessage("type is not a number")
    return MessageType(kind) if kind in _KNOWN else None


def _opened(body: Mapping[str, Any], nsp: str) -> Mapping[str, Any] | None:
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
