"""One client in one namespace: what a handler gets as its first argument.

A client is CONNECTING while its connect handler runs (what is emitted to it is held back until CONNECT went out, and
no broadcast reaches it), CONNECTED while it is in the namespace's rooms, and GONE afterwards (emits are no-ops).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.errors import TooLarge
from rtserver.identity import Identity
from rtserver.protocol import packets
from rtserver.rate_limit import TokenBucket
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.broadcast.encoding import MESSAGE, encode_packet
from rtserver.sio.broadcast.operator import DEFAULT_ACK_TIMEOUT, check_event_name
from rtserver.sio.broadcast.target import EVERYBODY, Flags
from rtserver.sio.client.client_operator import ClientFlags
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.dispatch.event_queue import EventQueue
from rtserver.sio.dispatch.middleware import ObserverMixin

if TYPE_CHECKING:
    from rtserver.engine.session.outbox import Outbox
    from rtserver.sio.connection.joined_namespaces import JoinedNamespaces
    from rtserver.sio.dispatch.interfaces import Handler
    from rtserver.sio.namespace.namespace import Namespace
    from rtserver.sio.server import Server

MAX_PENDING_ACKS = 10_000

Answer = list[Any] | None
"""The values of an ack; None when the client left without answering."""


class State(Enum):
    CONNECTING = 0
    CONNECTED = 1
    GONE = 2


class Client(ClientFlags, ObserverMixin):
    """`id` is the socket id, `identity` the checked user (None where auth is optional or off), `data` yours to fill."""

    __slots__ = (
        "_acks", "_held", "_next_ack", "buckets", "connection", "data", "handler", "handshake", "id", "identity",
        "mailbox", "namespace_name", "outbox", "recovered", "rooms", "session", "state",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        connection: JoinedNamespaces,
        namespace_name: str,
        handler: Handler,
        identity: Identity | None,
        handshake: Handshake,
    ) -> None:
        self.id = id
        self.connection = connection
        self.outbox: Outbox = connection.session
        self.namespace_name = namespace_name
        self.handler = handler
        self.identity = identity
        self.handshake = handshake
        self.recovered = False
        self.state = State.CONNECTING
        self.rooms: set[str] = set()
        self.data: dict[str, Any] = {}
        self.session: Any = {}
        self.buckets: dict[str, TokenBucket] | None = None
        self.mailbox = EventQueue(connection.server)
        self._held: list[PreparedMessage] = []
        self._acks: dict[int, Callable[[Answer], None]] | None = None
        self._next_ack = 0

    def __repr__(self) -> str:
        user = self.identity.user if self.identity else None
        return f"<Client {self.id} of {self.namespace_name}, user {user!r}, {self.state.name.lower()}>"

    @property
    def server(self) -> Server:
        return self.connection.server

    @property
    def namespace(self) -> Namespace:
        """The `Namespace` that handles this client."""
        return self.handler.namespace

    @property
    def connected(self) -> bool:
        return self.state is State.CONNECTED

    @property
    def transport(self) -> str:
        """`"polling"` or `"websocket"`, as of now."""
        return self.connection.transport

    @property
    def user(self) -> str:
        """The user id; only where the namespace requires an identity."""
        if self.identity is None:
            raise LookupError("this client has no identity")
        return self.identity.user

    async def join(self, *rooms: str) -> None:
        """Raises `TooLarge` past the server's bounds; a client that is gone joins nothing."""
        if self.state is State.GONE:
            return
        bounds = self.server.bounds
        if len(self.rooms) + len(rooms) > bounds.max_rooms and len(self.rooms.union(rooms)) > bounds.max_rooms:
            raise TooLarge("In too many rooms")
        if any(len(room) > bounds.max_room_length for room in rooms):
            raise TooLarge("The name of a room is too long")
        self.server.room_table(self.namespace_name, self.handler).join(self, rooms)

    async def leave(self, *rooms: str) -> None:
        table = self.server.rooms_of(self.namespace_name)
        if table is not None:
            table.leave(self, rooms)

    async def emit(self, event: str, *args: Any) -> None:
        self.send_event([check_event_name(event), *args])

    async def emit_with_ack(self, event: str, *args: Any, timeout: float = DEFAULT_ACK_TIMEOUT) -> Any:
        """Emit and wait for the client's ack: its first value, or None when it has none.

        Raises `AckTimeout` when the client does not answer within `timeout` seconds or leaves.
        """
        answer = await self.ask([check_event_name(event), *args], timeout)
        return answer[0] if answer else None

    def _stand(self) -> tuple[Client, Flags]:
        return self, EVERYBODY.flags

    async def disconnect(self, close: bool = False) -> None:
        """Leave the namespace; with `close`, close the connection. A stock client does not come back by itself."""
        if close:
            self.connection.disconnect_all()
        if self.state is State.CONNECTING:
            self.depart()
        elif self.state is State.CONNECTED:
            self.connection.disconnect(self)

    # What follows is for the server, not for handlers.

    def accept(self) -> None:
        """CONNECT has gone out: release what was held back."""
        self.state = State.CONNECTED
        held, self._held = self._held, []
        for message in held:
            self.outbox.push(message)

    def depart(self) -> None:
        """No more acks will come: tell whoever waits for one."""
        self.state = State.GONE
        self._held.clear()
        self.server.watched.pop(self, None)
        waiting, self._acks = self._acks, None
        for settle in (waiting or {}).values():
            settle(None)

    def send_event(self, args: list[Any], id: int | None = None, volatile: bool = False, compress: bool = True) -> None:
        if self.state is not State.GONE:
            if self.server.watched:
                self.server.watched.show([self], args)
            message = self.server.encode_packet(packets.EVENT, self.namespace_name, args, id)
            message.compress = compress
            self.send(message, volatile)
            self.server.metrics.events_out(self.handler.label, 1)

    def send(self, message: PreparedMessage, volatile: bool = False) -> None:
        if self.state is State.CONNECTED:
            self.outbox.push(message, volatile)
        elif self.state is State.CONNECTING:
            self._held.append(message)

    def send_ack(self, id: int, values: list[Any]) -> None:
        text = packets.encode_ack(self.namespace_name, values, id) if self.state is State.CONNECTED else None
        if text is not None:
            self.outbox.send_text(MESSAGE + text)
        else:
            self.send(encode_packet(packets.ACK, self.namespace_name, values, id))

    async def ask(self, args: list[Any], timeout: float, compress: bool = True) -> list[Any]:
        """All values of the ack of `[event, *args]`; raises `AckTimeout`."""
        id, answered = self.expect_ack()
        try:
            self.send_event(args, id, compress=compress)
            answer = await asyncio.wait_for(answered, timeout)
        except TimeoutError:
            answer = None
        finally:
            self.forget_ack(id)
        if answer is None:
            raise AckTimeout([], 1)
        return answer

    def expect_ack(self) -> tuple[int, asyncio.Future[Answer]]:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def settle(values: Answer) -> None:
            if not answered.done():
                answered.set_result(values)

        return self.on_ack(settle), answered

    def on_ack(self, settle: Callable[[Answer], None]) -> int:
        """Register for the ack of the next event; gives its id."""
        if self._acks is None:
            self._acks = {}
        id = self._next_ack
        self._next_ack += 1
        if self.state is State.GONE:
            settle(None)
            return id
        self._acks[id] = settle
        if len(self._acks) > MAX_PENDING_ACKS:
            # It never answers: nobody waits for the oldest any more.
            self._acks.pop(next(iter(self._acks)))(None)
        return id

    def forget_ack(self, id: int) -> None:
        if self._acks is not None:
            self._acks.pop(id, None)

    def ack_received(self, id: int, values: list[Any]) -> None:
        """An ack that nobody waits for is ignored, as in Node."""
        settle = self._acks.pop(id, None) if self._acks is not None else None
        if settle is not None:
            settle(values)

    @property
    def query(self) -> Mapping[str, str]:
        return self.handshake.query
