"""Encoding of messages of the classic Redis adapter. A value that cannot be sent raises `TypeError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtserver.protocol import json, msgpack
from rtserver.protocol.adapter.messages import Options, RequestType
from rtserver.protocol.packets import EVENT


def encode_broadcast(uid: str, nsp: str, args: Sequence[Any], options: Options) -> bytes:
    """Encode a broadcast; `args` is `[event, *args]`."""
    return msgpack.dumps([uid, _packet(nsp, args), options.wire(flags=True)])


def encode_broadcast_request(uid: str, request_id: str, nsp: str, args: Sequence[Any], options: Options) -> bytes:
    """Encode a broadcast that requests acks."""
    head = {"uid": uid, "requestId": request_id, "type": int(RequestType.BROADCAST)}
    return msgpack.dumps({**head, "packet": _packet(nsp, args), "opts": options.wire(flags=True)})


def encode_request(kind: RequestType, *, uid: str | None, request_id: str | None = None, **fields: Any) -> bytes:
    """Encode a request; `fields` as the protocol names them: opts, rooms, close, data."""
    head = {"uid": uid, "requestId": request_id}
    return encoded({**{k: v for k, v in head.items() if v is not None}, "type": int(kind), **fields})


def encode_response(request_id: str, kind: RequestType | None = None, **fields: Any) -> bytes:
    """Encode a response; `kind` only where the protocol gives the response a type."""
    head: dict[str, Any] = {"requestId": request_id}
    return encoded({**head, **({} if kind is None else {"type": int(kind)}), **fields})


def encode_ack(request_id: str, value: Any) -> bytes:
    """Encode the ack of one client to a broadcast."""
    return msgpack.dumps({"type": int(RequestType.BROADCAST_ACK), "requestId": request_id, "packet": value})


def _packet(nsp: str, args: Sequence[Any]) -> dict[str, Any]:
    return {"type": EVENT, "data": args if type(args) is list else list(args), "nsp": nsp}


def encoded(body: Mapping[str, Any]) -> bytes:
    """Encode as JSON if possible; otherwise, mainly for bytes, as MessagePack."""
    try:
        return json.dumps(body)
    except TypeError:
        return msgpack.dumps(body)
