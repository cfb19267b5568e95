"""One namespace's line to the other servers: its uid, its channels, and the requests that are still open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rtserver.cluster.listener import Handler
from rtserver.cluster.silence import Silence
from rtserver.protocol.adapter import (
    Channels,
    Options,
    Response,
    check_shape,
    decode_response,
    new_request_id,
    new_uid,
    texts,
)
from rtserver.sio.adapter import Adapter
from rtserver.sio.remote import RemoteSocket
from rtserver.sio.target import Flags, Target


class Subscriptions(Protocol):
    def subscribe(self, channel: str, handler: Handler, *, pattern: bool = False) -> None: ...

    def unsubscribe(self, channel: str, handler: Handler, *, pattern: bool = False) -> None: ...


class Incoming(Protocol):
    def on_broadcast(self, link: Link, channel: str, payload: bytes) -> None: ...

    def on_request(self, link: Link, payload: bytes) -> None: ...


class Collector(Protocol):
    def take(self, response: Response) -> None: ...


class Link:
    __slots__ = ("_handlers", "_late", "_marks", "_open", "channels", "nsp", "silence", "uid")

    def __init__(self, key: str, nsp: str, grace: float = 0.5) -> None:
        self.nsp = nsp
        self.uid = new_uid()
        self.channels = Channels(key, nsp)
        self.silence = Silence(grace)
        self._marks = _own_marks(self.uid.encode())
        self._open: dict[str, Collector] = {}
        self._late: str | None = None
        self._handlers: list[tuple[str, bool, Handler]] = []

    def open(self, bus: Subscriptions, incoming: Incoming) -> None:
        def on_broadcast(channel: str, payload: bytes) -> None:
            incoming.on_broadcast(self, channel, payload)

        def on_request(channel: str, payload: bytes) -> None:
            incoming.on_request(self, payload)

        self._handlers = [
            (self.channels.pattern, True, on_broadcast),
            (self.channels.response, False, self._on_response),
            (self.channels.response_to(self.uid), False, self._on_response),
            (self.channels.request, False, on_request),
        ]
        for name, pattern, handler in self._handlers:
            bus.subscribe(name, handler, pattern=pattern)

    def close(self, bus: Subscriptions) -> None:
        for name, pattern, handler in self._handlers:
            bus.unsubscribe(name, handler, pattern=pattern)

    @contextmanager
    def expecting(self, collector: Collector) -> Iterator[str]:
        """Gives the id of the request; what answers it goes to `collector`."""
        request_id = new_request_id()
        self._open[request_id] = collector
        try:
            yield request_id
        finally:
            del self._open[request_id]

    def missed(self, servers: int, request_id: str | None = None) -> None:
        """So many servers did not answer that request; if they still do, they are waited for again."""
        self.silence.missed(servers)
        self._forget_late()
        if servers and request_id is not None:
            self._late = request_id
            self._open[request_id] = self.silence

    def is_own(self, request_id: str | None) -> bool:
        return request_id in self._open

    def sent(self, payload: bytes) -> bool:
        """Whether it is one of our own messages, come back: told by its first bytes, without decoding."""
        return payload.startswith(self._marks[0]) or payload.startswith(self._marks[1], 1)

    def _forget_late(self) -> None:
        if self._late is not None:
            self._open.pop(self._late, None)
            self._late = None

    def _on_response(self, channel: str, payload: bytes) -> None:
        if not self._open:  # not for us, whatever it says
            check_shape(payload)
            return
        response = decode_response(payload)
        collector = self._open.get(response.request_id)
        if collector is not None:
            collector.take(response)
        if not self.silence.count:
            self._forget_late()


def _own_marks(uid: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """How messages of `uid` begin, as we encode them: broadcasts and JSON requests; then, behind their first byte,
    requests in MessagePack."""
    return (b"\x93\xa6" + uid, b'{"uid":"' + uid + b'",'), b"\xa3uid\xa6" + uid


def options_of(target: Target, timeout: float | None = None) -> Options:
    """A target as the protocol writes it. Node sets a flag only where it is not the default."""
    flags: dict[str, Any] = {}
    if target.flags.volatile:
        flags["volatile"] = True
    if not target.flags.compress:
        flags["compress"] = False
    if timeout is not None:
        flags["timeout"] = round(timeout * 1000)
    return Options(tuple(dict.fromkeys(target.rooms)), target.except_, flags)


def target_of(options: Options) -> Target:
    flags = options.flags
    return Target(
        options.rooms,
        options.except_,
        Flags(volatile=flags.get("volatile") is True, compress=flags.get("compress") is not False),
    )


def remote_sockets(adapter: Adapter, nsp: str, items: list[Any]) -> list[RemoteSocket]:
    """What another server tells of its sockets, read leniently; what is not a socket is left out."""
    return [
        RemoteSocket(
            adapter=adapter,
            namespace=nsp,
            id=item["id"],
            rooms=texts(_list(item, "rooms")),
            data=_object(item, "data"),
            handshake=_object(item, "handshake"),
            user=_text(item, "user"),
            transport=_text(item, "transport"),
            instance=_text(item, "instance"),
        )
        for item in items
        if isinstance(item, dict) and isinstance(item.get("id"), str)
    ]


def _list(item: Mapping[str, Any], name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else []


def _object(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None
