"""Adapter protocol: the messages of Node's classic Redis adapter, channel names, decoding and encoding. No I/O.

Source of every rule: `@socket.io/redis-adapter` 8.3 (`dist/index.js`) and `@socket.io/redis-emitter` 5.1.

A broadcast is MessagePack. A request or a response is JSON when its first byte is `{`, else MessagePack:
that is how requests carry bytes.
"""

from rtserver.protocol.adapter.channels import EMITTER_UID, Channels, new_request_id, new_uid
from rtserver.protocol.adapter.decoding import decode_broadcast, decode_request, decode_response
from rtserver.protocol.adapter.encoding import (
    encode_ack,
    encode_broadcast,
    encode_broadcast_request,
    encode_request,
    encode_response,
)
from rtserver.protocol.adapter.messages import (
    Broadcast,
    MalformedMessage,
    Misaddressed,
    Options,
    Request,
    RequestType,
    Response,
    both_forms,
    texts,
)
from rtserver.protocol.adapter.validation import check_shape

__all__ = [
    "EMITTER_UID",
    "Broadcast",
    "Channels",
    "MalformedMessage",
    "Misaddressed",
    "Options",
    "Request",
    "RequestType",
    "Response",
    "both_forms",
    "check_shape",
    "decode_broadcast",
    "decode_request",
    "decode_response",
    "encode_ack",
    "encode_broadcast",
    "encode_broadcast_request",
    "encode_request",
    "encode_response",
    "new_request_id",
    "new_uid",
    "texts",
]
