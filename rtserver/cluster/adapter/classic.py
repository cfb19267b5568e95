"""Classic link: one namespace's messages to and from the other servers, in the wire format of Node's classic Redis
adapter.

Two kinds of messages are dropped without decoding: broadcasts for a room without local members, recognized by the name
of their channel; and our own messages that come back, recognized by their first bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtserver.cluster.adapter.link import IncomingMessages, Link
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.subscriber import Handler
from rtserver.errors import Unavailable
from rtserver.protocol import adapter as wire
from rtserver.protocol.adapter import Channels, Misaddressed, Options, Request, RequestType


class ClassicLink(Link):
    """`specific`: respond on the channel of the requesting server, not on the shared one. `grace` is in seconds."""

    __slots__ = ("_bus", "_handlers", "_incoming", "_own_prefixes", "_specific", "channels")

    def __init__(self, bus: RedisBus, key: str, nsp: str, *, grace: float = 0.5, specific: bool = False) -> None:
        super().__init__(nsp, wire.new_uid(), grace)
        self.channels = Channels(key, nsp)
        self._bus = bus
        self._specific = specific
        self._own_prefixes = _prefixes_of(self.uid.encode())
        self._handlers: list[tuple[str, bool, Handler]] = []

    def open(self, incoming: IncomingMessages) -> None:
        self._incoming = incoming
        self._handlers = [
            (self.channels.pattern, True, self._on_broadcast),
            (self.channels.response, False, self._on_response),
            (self.channels.response_to(self.uid), False, self._on_response),
            (self.channels.request, False, self._on_request),
        ]
        for name, pattern, handler in self._handlers:
            self._bus.subscribe(name, handler, pattern=pattern)

    def close(self) -> None:
        for name, pattern, handler in self._handlers:
            self._bus.unsubscribe(name, handler, pattern=pattern)

    @property
    def ready(self) -> bool:
        return self._bus.ready

    async def count_servers(self) -> int | None:
        if not await self._bus.wait_subscribed(self.channels.request):  # the last one of this link
            return None
        try:
            return await self._bus.subscribers(self.channels.request) or None  # 0 cannot be: this one is subscribed
        except Unavailable:
            return None

    def broadcast(self, args: Sequence[Any], options: Options) -> None:
        channel = self.channels.broadcast_to(options.rooms)
        self._bus.publish(channel, wire.encode_broadcast(self.uid, self.nsp, args, options))

    def broadcast_request(self, request_id: str, args: Sequence[Any], options: Options) -> None:
        request = wire.encode_broadcast_request(self.uid, request_id, self.nsp, args, options)
        self._bus.publish(self.channels.request, request)

    def request(self, kind: RequestType, *, request_id: str | None = None, **fields: Any) -> None:
        request = wire.encode_request(kind, uid=self.uid, request_id=request_id, **fields)
        self._bus.publish(self.channels.request, request)

    def respond(self, request: Request, kind: RequestType | None = None, **fields: Any) -> None:
        if request.request_id is None:
            return
        channel = self._response_channel(request)
        if request.type is RequestType.SERVER_SIDE_EMIT:
            kind, channel = request.type, self.channels.response  # always on the shared channel, as in Node
        self._bus.publish(channel, wire.encode_response(request.request_id, kind, **fields))

    def acknowledge(self, request: Request, value: Any) -> None:
        if request.request_id is not None:
            self._bus.publish(self._response_channel(request), wire.encode_ack(request.request_id, value))

    def _response_channel(self, request: Request) -> str:
        if self._specific and request.uid is not None:
            return self.channels.response_to(request.uid)
        return self.channels.response

    def _on_broadcast(self, channel: str, payload: bytes) -> None:
        if payload.startswith(self._own_prefixes[0]):  # `_is_own`, inlined for broadcasts; first, as most are our own
            return
        room = self.channels.room_of(channel)
        if room is None or (room and not self._incoming.has_room(self, room)):
            return
        message = wire.decode_broadcast(payload)
        if message.uid == self.uid:
            return
        if message.nsp != self.nsp:
            raise Misaddressed("its packet is for another namespace than its channel")
        self._incoming.on_broadcast(self, message)

    def _on_request(self, channel: str, payload: bytes) -> None:
        if not self._is_own(payload):
            request = wire.decode_request(payload)
            if request.type is RequestType.BROADCAST and request.nsp != self.nsp:
                raise Misaddressed("its packet is for another namespace than its channel")
            self._incoming.on_request(self, request)

    def _on_response(self, channel: str, payload: bytes) -> None:
        if not self._open:  # no request is open, so it is for another server
            wire.check_shape(payload)
            return
        self._on_peer_response(wire.decode_response(payload))

    def _is_own(self, payload: bytes) -> bool:
        """Return whether it is a message of our own that comes back; looks at its first bytes only."""
        return payload.startswith(self._own_prefixes[0]) or payload.startswith(self._own_prefixes[1], 1)


def _prefixes_of(uid: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Return how messages of `uid` begin, as we encode them: broadcasts and JSON requests; and how requests in
    MessagePack go on behind their first byte."""
    return (b"\x93\xa6" + uid, b'{"uid":"' + uid + b'",'), b"\xa3uid\xa6" + uid
