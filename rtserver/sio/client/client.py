"""`Client`: one client in one namespace, the first argument of every handler.

CONNECTING   its connect handler runs; emits to it are held until CONNECT was sent, and broadcasts skip it
CONNECTED    it is in the rooms of the namespace
GONE         it left; emits to it do nothing
EXPELLED     it is gone because the server disconnected it: events that wait are dropped, and handlers write no more
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.errors import TooLarge
from rtserver.identity import Identity
from rtserver.protocol import packets
from rtserver.rate_limit import Buckets
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.broadcast.encoding import MESSAGE, encode_packet
from rtserver.sio.broadcast.operator import DEFAULT_ACK_TIMEOUT, check_event_name
from rtserver.sio.broadcast.room_names import RoomName, flat_rooms
from rtserver.sio.broadcast.target import NO_FLAGS, Flags
from rtserver.sio.client.client_operator import ClientFlags
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.dispatch import middleware
from rtserver.sio.dispatch.event_queue import EventQueue

if TYPE_CHECKING:
    from rtserver.engine.session.outbox import Outbox
    from rtserver.sio.broadcast.recipient import AckResult
    from rtserver.sio.client.interfaces import ConnectionContext
    from rtserver.sio.dispatch.interfaces import Handler, ServerContext, Step

MAX_PENDING_ACKS = 10_000


class State(Enum):
    CONNECTING = 0
    CONNECTED = 1
    GONE = 2
    EXPELLED = 3


class Client(ClientFlags):
    """A client as handlers see it.

    `id`: the socket id. `identity`: the checked user, None where auth is optional or off. `handshake`: the data of the
    request that opened the connection. `rooms`: the rooms it is in. `data`: for the application to fill.
    """

    # `user_session` is what `sio.session(sid)` of python-socketio returns. `outbox` is the sending half of the
    # Engine.IO session (`connection.engine_session`), kept here as well for broadcasts, which read it for each client.
    __slots__ = (
        "_acks", "_held", "_next_ack", "buckets", "connection", "data", "event_queue", "handler", "handshake", "id",
        "identity", "namespace_name", "outbox", "recovered", "rooms", "state", "user_session",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        connection: ConnectionContext,
        namespace_name: str,
        handler: Handler[Any],
        identity: Identity | None,
        handshake: Handshake,
    ) -> None:
        self.id = id
        self.connection = connection
        self.outbox: Outbox = connection.engine_session
        self.namespace_name = namespace_name
        self.handler = handler
        self.identity = identity
        self.handshake = handshake
        self.recovered = False
        self.state = State.CONNECTING
        self.rooms: set[str] = set()
        self.data: dict[str, Any] = {}
        self.user_session: Any = {}
        self.buckets: Buckets | None = None
        self.event_queue = EventQueue(connection.server)
        self._held: list[PreparedMessage] = []
        self._acks: dict[int, Callable[[AckResult], None]] | None = None
        self._next_ack = 0

    def __repr__(self) -> str:
        user = self.identity.user if self.identity else None
        return f"<Client {self.id} of {self.namespace_name}, user {user!r}, {self.state.name.lower()}>"

    @property
    def server(self) -> ServerContext:
        """The server, as `Namespace.server`."""
        return self.connection.server

    @property
    def namespace(self) -> Any:
        """The `Namespace` that handles this client; raises `LookupError` for handlers of python-socketio."""
        return self.handler.namespace

    @property
    def connected(self) -> bool:
        return self.state is State.CONNECTED

    @property
    def gone(self) -> bool:
        """Whether the client has left, by itself or not."""
        return self.state is State.GONE or self.state is State.EXPELLED

    @property
    def expelled(self) -> bool:
        """Whether the server has disconnected the client. What it asked for before must not change anything now."""
        return self.state is State.EXPELLED

    @property
    def transport(self) -> str:
        """The current transport, `"polling"` or `"websocket"`."""
        return self.connection.transport

    @property
    def user(self) -> str:
        """The user id; raises `LookupError` when the client has no identity."""
        if self.identity is None:
            raise LookupError("this client has no identity")
        return self.identity.user

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the request that opened the connection."""
        return self.handshake.query

    async def join(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Join rooms. Raises `TooLarge` beyond the server's limits; does nothing when the client is gone."""
        names = flat_rooms(rooms)
        if self.gone:
            return
        server = self.connection.server
        limits = server.limits
        if len(self.rooms) + len(names) > limits.max_rooms and len(self.rooms.union(names)) > limits.max_rooms:
            raise TooLarge("In too many rooms")
        if any(len(name) > limits.max_room_length for name in names):
            raise TooLarge("The name of a room is too long")
        server.room_table(self.namespace_name, self.handler.room_presence).join(self, names)

    async def leave(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Leave rooms; does nothing for a room that the client is not in."""
        names = flat_rooms(rooms)
        table = self.connection.server.rooms_of(self.namespace_name)
        if table is not None:
            table.leave(self, names)

    async def emit(self, event: str, *args: Any) -> None:
        """Emit to this client. Does not wait for delivery."""
        self.send_event([check_event_name(event), *args])

    async def emit_with_ack(self, event: str, *args: Any, timeout: float = DEFAULT_ACK_TIMEOUT) -> Any:
        """Emit, wait for the client's ack and return its first value, or None when it has no values.

        Raises `AckTimeout` when the client leaves or does not answer within `timeout` seconds.
        """
        answer = await self.request_ack([check_event_name(event), *args], timeout)
        return answer[0] if answer else None

    def _client_and_flags(self) -> tuple[Client, Flags]:
        return self, NO_FLAGS

    async def disconnect(self, close: bool = False) -> None:
        """Disconnect from the namespace; with `close`, close the connection. Stock clients do not reconnect."""
        if close:
            self.connection.disconnect_all()
        if self.state is State.CONNECTING:
            self.mark_gone()
        elif self.state is State.CONNECTED:
            self.connection.disconnect(self)

    # Event middleware and observers.

    def use(self, step: Step) -> None:
        """Add middleware for this client's events: `step(event, args)`, plain or async.

        It may change or return the arguments, or raise an `EventError`, which is the answer. It runs after the rate
        limit and before the handler.
        """
        middleware.add_middleware(self, step)

    def on_any(self, observer: Callable[..., object]) -> None:
        """Call `observer(event, *args)` for every event that comes from this client."""
        middleware.add_observer(self, observer)

    def off_any(self, observer: Callable[..., object] | None = None) -> None:
        """Remove this observer; without `observer`, all of them."""
        middleware.remove_observer(self, observer)

    def on_any_outgoing(self, observer: Callable[..., object]) -> None:
        """Call `observer(event, *args)` for every event that goes to this client; acks are not events."""
        self.server.outgoing_observers.add(self, observer)

    def off_any_outgoing(self, observer: Callable[..., object] | None = None) -> None:
        """Remove this observer; without `observer`, all of them."""
        self.server.outgoing_observers.remove(self, observer)

    # For the server, not for handlers.

    def mark_connected(self) -> None:
        """CONNECT was sent: send what was held."""
        self.state = State.CONNECTED
        held, self._held = self._held, []
        for message in held:
            self.outbox.push(message)

    def mark_gone(self, *, expelled: bool = False) -> None:
        """The client left: no more acks will come, so those who wait for one get None.

        `expelled`: the server has disconnected it. A client that left before can be expelled too.
        """
        if self.state is not State.EXPELLED:
            self.state = State.EXPELLED if expelled else State.GONE
        self._held.clear()
        self.connection.server.outgoing_observers.remove(self)
        waiting, self._acks = self._acks, None
        for settle in (waiting or {}).values():
            settle(None)

    def send_event(self, args: list[Any], id: int | None = None, volatile: bool = False, compress: bool = True) -> None:
        """Send `[event, *args]`, with an ack id when `id` is given; does nothing when the client is gone."""
        if self.state is State.CONNECTED or self.state is State.CONNECTING:
            server = self.connection.server
            if server.outgoing_observers:
                server.outgoing_observers.show([self], args)
            message = server.encode_packet(packets.EVENT, self.namespace_name, args, id)
            message.compress = compress
            self.send(message, volatile)
            server.metrics.events_out(self.handler.label, 1)

    def send(self, message: PreparedMessage, volatile: bool = False) -> None:
        """Send an encoded packet; held while the client is connecting, dropped when it is gone."""
        if self.state is State.CONNECTED:
            self.outbox.push(message, volatile)
        elif self.state is State.CONNECTING:
            self._held.append(message)

    def send_ack(self, id: int, values: list[Any]) -> None:
        """Answer the client's event that came with the ack id `id`."""
        text = packets.encode_ack(self.namespace_name, values, id) if self.state is State.CONNECTED else None
        if text is not None:
            self.outbox.send_answer(MESSAGE + text)
        else:
            self.answer(encode_packet(packets.ACK, self.namespace_name, values, id))

    def answer(self, message: PreparedMessage) -> None:
        """Send the encoded answer to an event."""
        if self.state is State.CONNECTED:
            self.outbox.push_answer(message)
        else:
            self.send(message)

    async def request_ack(self, args: list[Any], timeout: float, compress: bool = True) -> list[Any]:
        """Send `[event, *args]` and return all values of its ack; raises `AckTimeout` after `timeout` seconds.

        Raises `RuntimeError` in the connect handler of this client, which would wait for itself.
        """
        if self.state is State.CONNECTING and self.connection.runs_connect_handler(self.namespace_name):
            raise RuntimeError(
                "a connect handler cannot wait for an ack of its client, which gets no event before it is connected: "
                "ask it in on_connected, or in a background task"
            )
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

    def expect_ack(self) -> tuple[int, asyncio.Future[AckResult]]:
        """An ack id for the next event, and a future for the ack's values."""
        answered: asyncio.Future[AckResult] = asyncio.get_running_loop().create_future()

        def settle(values: AckResult) -> None:
            if not answered.done():
                answered.set_result(values)

        return self.on_ack(settle), answered

    def on_ack(self, settle: Callable[[AckResult], None]) -> int:
        """Call `settle(values)` when the ack of the next event comes; returns its id."""
        if self._acks is None:
            self._acks = {}
        id = self._next_ack
        self._next_ack += 1
        if self.gone:
            settle(None)
            return id
        self._acks[id] = settle
        if len(self._acks) > MAX_PENDING_ACKS:
            # The client does not answer: give up the oldest.
            self._acks.pop(next(iter(self._acks)))(None)
        return id

    def forget_ack(self, id: int) -> None:
        """Ignore the ack with this id when it comes."""
        if self._acks is not None:
            self._acks.pop(id, None)

    def ack_received(self, id: int, values: list[Any]) -> None:
        """The client sent an ack. An unknown id is ignored, as in Node."""
        settle = self._acks.pop(id, None) if self._acks is not None else None
        if settle is not None:
            settle(values)
