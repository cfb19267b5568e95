"""Wire formats of an emitter, classic and sharded: channel and bytes of a broadcast or a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from rtserver.protocol import adapter as classic
from rtserver.protocol.adapter import EMITTER_UID, Channels, Options, RequestType, sharded

Kind = Literal["classic", "sharded"]
Message = tuple[str, bytes]


class ClassicWire:
    """The format of `@socket.io/redis-emitter`."""

    command = "PUBLISH"

    def __init__(self, key: str) -> None:
        self._key = key

    def broadcast(self, nsp: str, args: Sequence[Any], options: Options) -> Message:
        channel = Channels(self._key, nsp).broadcast_to(options.rooms)
        return channel, classic.encode_broadcast(EMITTER_UID, nsp, args, options)

    def request(self, nsp: str, kind: RequestType, **fields: Any) -> Message:
        uid = EMITTER_UID if kind is RequestType.SERVER_SIDE_EMIT else None
        return Channels(self._key, nsp).request, classic.encode_request(kind, uid=uid, **fields)


class ShardedWire:
    """The format of a server with the sharded adapter; Node has no emitter for it."""

    command = "SPUBLISH"

    def __init__(self, key: str) -> None:
        self._key = key

    def broadcast(self, nsp: str, args: Sequence[Any], options: Options) -> Message:
        channel = sharded.ShardedChannels(self._key, nsp).broadcast_to(options.rooms)
        return channel, sharded.encode_broadcast(EMITTER_UID, nsp, args, options)

    def request(self, nsp: str, kind: RequestType, **fields: Any) -> Message:
        message = sharded.encode_request(kind, uid=EMITTER_UID, nsp=nsp, **fields)
        return sharded.ShardedChannels(self._key, nsp).public, message


Wire = ClassicWire | ShardedWire
WIRES: dict[Kind, Callable[[str], Wire]] = {"classic": ClassicWire, "sharded": ShardedWire}
