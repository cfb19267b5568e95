"""Cluster link of one namespace: its uid, its pending requests, and the peers that do not respond.

An unresponsive peer is still subscribed in Redis, but does not respond: a process that hangs, a machine that lost its
network. Responses of this protocol do not name their sender, so only the number of such peers is known. Rules:
1. A peer that missed the last deadline is unresponsive. The next request waits for the others, and after them only for
   the grace: no caller waits the full timeout for a dead server twice.
2. The number is reset by a complete set of responses, and reduced by a late response.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rtserver.protocol.adapter import Broadcast, Options, Request, RequestType, Response, new_request_id, texts
from rtserver.sio.broadcast.adapter import Adapter, Screen
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.target import NO_FLAGS, Flags, Page, Target


class IncomingMessages(Protocol):
    """Gets the decoded messages of other servers."""

    def has_room(self, link: Link, room: str) -> bool: ...

    def on_broadcast(self, link: Link, message: Broadcast) -> None: ...

    def on_request(self, link: Link, request: Request) -> None: ...


class ResponseCollector(Protocol):
    def on_response(self, response: Response) -> None: ...


class Link(ABC):
    """The part that is independent of the wire format; see `classic` and `sharded` for those.

    `grace`: seconds that unresponsive peers get once all others have responded.
    """

    __slots__ = ("_late_request", "_open", "nsp", "screen", "uid", "unresponsive")

    def __init__(self, nsp: str, uid: str, grace: float) -> None:
        self.nsp = nsp
        self.uid = uid
        self.unresponsive = UnresponsivePeers(grace)
        self._open: dict[str, ResponseCollector] = {}
        self._late_request: str | None = None
        self.screen: Screen | None = None

    @abstractmethod
    def open(self, incoming: IncomingMessages) -> None:
        """Subscribe, and pass messages on to `incoming`."""

    @abstractmethod
    def close(self) -> None:
        """Unsubscribe."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether requests reach the other servers, and their responses reach this one."""

    @abstractmethod
    async def count_servers(self) -> int | None:
        """Return how many servers have this namespace, this one included; None if Redis does not tell."""

    # Messages to the other servers. None of these methods waits.

    @abstractmethod
    def broadcast(self, args: Sequence[Any], options: Options) -> None:
        """Broadcast to the clients of the other servers; `args` is `[event, *args]`."""

    @abstractmethod
    def broadcast_request(self, request_id: str, args: Sequence[Any], options: Options) -> None:
        """Broadcast, and request the acks of the clients."""

    @abstractmethod
    def request(self, kind: RequestType, *, request_id: str | None = None, **fields: Any) -> None:
        """Send a request. `fields` as the classic adapter names them: opts, rooms, close, data."""

    @abstractmethod
    def respond(self, request: Request, kind: RequestType | None = None, **fields: Any) -> None:
        """Respond to a request; `kind` only where the response has a type of its own."""

    @abstractmethod
    def acknowledge(self, request: Request, value: Any) -> None:
        """Send the ack of one client to the server that broadcast with acks."""

    # Pending requests.

    @contextmanager
    def expecting(self, collector: ResponseCollector) -> Iterator[str]:
        """Yield the id of a new request; its responses go to `collector`."""
        request_id = new_request_id()
        self._open[request_id] = collector
        try:
            yield request_id
        finally:
            del self._open[request_id]

    def missed(self, servers: int, request_id: str | None = None) -> None:
        """Note that so many servers did not respond to that request. A late response reduces the number."""
        self.unresponsive.missed(servers)
        self._forget_late()
        if servers and request_id is not None:
            self._late_request = request_id
            self._open[request_id] = self.unresponsive

    def is_own(self, request_id: str | None) -> bool:
        """Return whether this is the id of a pending request of this server."""
        return request_id in self._open

    def _forget_late(self) -> None:
        if self._late_request is not None:
            self._open.pop(self._late_request, None)
            self._late_request = None

    def _on_peer_response(self, response: Response) -> None:
        collector = self._open.get(response.request_id)
        if collector is not None:
            collector.on_response(response)
        if not self.unresponsive.count:
            self._forget_late()


def options_of(target: Target, timeout: float | None = None) -> Options:
    """Convert a target to the options of the protocol. Like Node, set a flag only where it is not the default.

    `timeout` is in seconds.
    """
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
    if flags.page is not None:  # our extension; servers of Node ignore it and respond with everything
        wire["page"] = list(flags.page)
    return wire


def target_of(options: Options) -> Target:
    """Convert the options of a message to a target."""
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
    """Read the sockets in a response of another server; items without an id are skipped, wrong fields are empty."""
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
    """The number of unresponsive peers. `grace`: seconds that they get once all others have responded."""

    __slots__ = ("count", "grace")

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.count = 0

    def missed(self, servers: int) -> None:
        """Note how many did not respond to the last request."""
        self.count = servers

    def on_response(self, response: Response) -> None:
        """A late response: one of them is back."""
        self.count = max(0, self.count - 1)
