"""Cluster link of one namespace: its uid, its pending requests, and the peers that do not respond.

An unresponsive peer is one that Redis still counts and that does not answer: a process that hangs, a machine that lost
its network. Responses of this protocol carry no name, so their number is remembered. Rules:
1. A peer that missed the last deadline is unresponsive. The next request waits for the others, and for unresponsive
   peers no longer than the grace after these: no caller waits for a dead server twice.
2. A complete set of responses, or a late one, takes that back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rtserver.protocol.adapter import Broadcast, Options, Request, RequestType, Response, new_request_id, texts
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.target import NO_FLAGS, Flags, Page, Target


class Incoming(Protocol):
    """What a link hands over: messages of others, decoded."""

    def has_room(self, link: Link, room: str) -> bool: ...

    def on_broadcast(self, link: Link, message: Broadcast) -> None: ...

    def on_request(self, link: Link, request: Request) -> None: ...


class Collector(Protocol):
    def take(self, response: Response) -> None: ...


class Link(ABC):
    """The part that every wire has in common; `rtserver.cluster.adapter.classic` and `sharded` have the wires."""

    __slots__ = ("_late", "_open", "nsp", "silence", "uid")

    def __init__(self, nsp: str, uid: str, grace: float) -> None:
        self.nsp = nsp
        self.uid = uid
        self.silence = UnresponsivePeers(grace)
        self._open: dict[str, Collector] = {}
        self._late: str | None = None

    @abstractmethod
    def open(self, incoming: Incoming) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether the others can be reached, and can answer."""

    @abstractmethod
    async def servers(self) -> int:
        """How many servers have this namespace, this one included; as far as Redis can be asked."""

    # To the others. Nothing here waits.

    @abstractmethod
    def broadcast(self, args: Sequence[Any], options: Options) -> None: ...

    @abstractmethod
    def broadcast_request(self, request_id: str, args: Sequence[Any], options: Options) -> None:
        """A broadcast that wants acks."""

    @abstractmethod
    def request(self, kind: RequestType, *, request_id: str | None = None, **fields: Any) -> None:
        """`fields` as the classic adapter names them: opts, rooms, close, data."""

    @abstractmethod
    def respond(self, request: Request, kind: RequestType | None = None, **fields: Any) -> None:
        """`kind`: the type of a response that is not the usual one to its request."""

    @abstractmethod
    def acknowledge(self, request: Request, value: Any) -> None:
        """One client's answer to a broadcast that wants acks."""

    # Requests that are open.

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

    def _forget_late(self) -> None:
        if self._late is not None:
            self._open.pop(self._late, None)
            self._late = None

    def _take(self, response: Response) -> None:
        collector = self._open.get(response.request_id)
        if collector is not None:
            collector.take(response)
        if not self.silence.count:
            self._forget_late()


def options_of(target: Target, timeout: float | None = None) -> Options:
    """A target as the protocol writes it. Node sets a flag only where it is not the default."""
    rooms = target.rooms if len(target.rooms) < 2 else tuple(dict.fromkeys(target.rooms))
    flags = {} if target.flags is NO_FLAGS else _flags(target.flags)
    if timeout is not None:
        flags["timeout"] = round(timeout * 1000)
    return Options(rooms, target.except_, flags)


def _flags(flags: Flags) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    if flags.volatile:
        wire["volatile"] = True
    if not flags.compress:
        wire["compress"] = False
    if flags.page is not None:  # our own; Node's servers do not look at it and give everything
        wire["page"] = list(flags.page)
    return wire


def target_of(options: Options) -> Target:
    flags = options.flags
    if not flags:
        return Target(options.rooms, options.except_)
    volatile, compress = flags.get("volatile") is True, flags.get("compress") is not False
    return Target(
        options.rooms, options.except_, Flags(volatile=volatile, compress=compress, page=_page(flags.get("page")))
    )


def _page(value: Any) -> Page | None:
    match value:
        case [str() as after, int() as limit] if limit > 0:
            return Page(after, limit)
    return None


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


class UnresponsivePeers:
    """`grace`: seconds that a silent server still has once all others have answered."""

    __slots__ = ("count", "grace")

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.count = 0

    def missed(self, servers: int) -> None:
        """So many did not answer the last request; 0: all did."""
        self.count = servers

    def take(self, response: Response) -> None:
        """The answer to a request that is over: one of them is back."""
        self.count = max(0, self.count - 1)
