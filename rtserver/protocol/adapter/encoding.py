"""Messages of the classic Redis adapter to bytes. What cannot be sent raises `TypeError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtserver.protocol import json, msgpack
from rtserver.protocol.adapter.messages import Options, RequestType
from rtserver.protocol.packets import EVENT


def encode_broadcast(uid: str, nsp: str, args: Sequence[Any], options: Options) -> bytes:
    return msgpack.dumps([uid, _packet(nsp, args), options.wire(flags=True)])


def encode_broadcast_request(uid: str, request_id: str, nsp: str, args: Sequence[Any], options: Options) -> bytes:
    """A broadcast that wants acks."""
    head = {"uid": uid, "requestId": request_id, "type": int(RequestType.BROADCAST)}
    return msgpack.dumps({**head, "packet": _packet(nsp, args), "opts": options.wire(flags=True)})


def encode_request(kind: RequestType, *, uid: str | None, request_id: str | None = None, **fields: Any) -> bytes:
    """`fields` as the protocol names them: opts, rooms, close, data."""
    head = {"uid": uid, "requestId": request_id}
    return encoded({**{k: v for k, v in head.items() if v is not None}, "type": int(kind), **fields})


def encode_response(request_id: str, kind: RequestType | None = None, **fields: Any) -> bytes:
    head: dict[str, Any] = {"requestId": request_id}
    return encoded({**head, **({} if kind is None else {"type": int(kind)}), **fields})


def encode_ack(request_id: str, value: Any) -> bytes:
    """One client's answer to a broadcast that wants acks."""
    return msgpack.dumps({"type": int(RequestType.BROADCAST_ACK), "requestId": request_id, "packet": value})


def _packet(nsp: str, args: Sequence[Any]) -> dict[str, Any]:
    return {"type": EVENT, "data": args if type(args) is list else list(args), "nsp": nsp}


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON where that says it all; MessagePack otherwise, for bytes above all."""
    try:
        return json.dumps(body)
    except TypeError:
        return msgpack.dumps(body)
