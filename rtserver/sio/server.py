"""`Server`: a `socketio.AsyncServer` whose packets, rooms and dispatch are ours.

The public surface of python-socketio stays (`@sio.event`, `AsyncNamespace`, `emit`, `call`, `session`, `enter_room`,
`attach`…), see `rtserver.sio.compat.server_api`; `add_namespace` takes `Namespace` classes. Data flows

    engine → Connection.receive → dispatch → handler → Operator → Adapter → Rooms → Connection.push → engine
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from aiohttp import web
from engineio.async_drivers.aiohttp import translate_request

from rtserver.engine.http.request import HandshakeRequest
from rtserver.engine.server import Engine
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.ids import new_instance_id
from rtserver.rate_limit import Rate
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.broadcast.fanout import fan_out
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.broadcast.room_presence import RoomPresence
from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.broadcast.target import Flags
from rtserver.sio.client.client import Client
from rtserver.sio.client.handshake import HandshakeReader
from rtserver.sio.compat.handlers import compat_handler, takes
from rtserver.sio.compat.server_api import SocketIOServerApi
from rtserver.sio.connection.connection import Connection
from rtserver.sio.connection.eio3 import Eio3Connection
from rtserver.sio.connection.joined_namespaces import JoinedNamespaces
from rtserver.sio.connection.parsers import parser_of
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.interfaces import AuthMode, Handler
from rtserver.sio.dispatch.middleware import OutgoingObservers
from rtserver.sio.dispatch.rate_limits import EventLimiter
from rtserver.sio.drain import Drain
from rtserver.sio.limits.connection_limits import ConnectionLimiter
from rtserver.sio.limits.limits import Limits
from rtserver.sio.namespace.namespace import Namespace
from rtserver.sio.namespace.registry import NamespaceRegistry
from rtserver.tasks import Tasks
from rtserver.telemetry.metrics import Metrics

Step = TypeVar("Step", bound=Callable[[Client], Any])


class Server(SocketIOServerApi):
    """Takes the arguments of `socketio.AsyncServer`, and:

    `authenticator` checks identities; `adapter` joins the servers of a cluster, `occupancy` tells who is in rooms;
    `instance_id` is this server's short name; `event_rate` bounds each event of each client ("50/s"; None = no limit);
    `trusted_proxies` are the peers whose X-Forwarded-For is believed; `compat_auth` says whether handlers of
    python-socketio need an identity ("required" as soon as there is an authenticator).

    What clients may hold: `bounds`, or each of the `Limits` as an argument of its own.
    `serializer`: "msgpack" for clients with `socket.io-msgpack-parser`.
    `identity_leeway`: seconds that an identity stays good past its `expires_at`; then its connection is closed.
    """

    def __init__(
        self,
        *args: Any,
        authenticator: dispatcher.Authenticator | None = None,
        adapter: Adapter | None = None,
        occupancy: RoomPresence | None = None,
        metrics: Metrics | None = None,
        instance_id: str | None = None,
        event_rate: str | Rate | None = None,
        trusted_proxies: Iterable[str] = (),
        bounds: Limits | None = None,
        identity_leeway: float = 0.0,
        compat_auth: AuthMode | None = None,
        async_handlers: bool = False,
        namespaces: list[str] | str | None = None,
        serializer: str = "default",
        **kwargs: Any,
    ) -> None:
        if serializer != "default" and kwargs.get("allow_eio3"):
            raise ValueError("allow_eio3 goes with the default serializer only")
        self.parser = parser_of(serializer)
        self.encode_packet = self.parser.encode_packet
        self.instance_id = instance_id or new_instance_id()
        self.metrics = metrics or Metrics()
        self.bounds = (bounds or Limits()).take(kwargs)
        self.gate = ConnectionLimiter(self.bounds)
        self.identity_leeway = identity_leeway
        self.limiter = EventLimiter(Rate.parse(event_rate) if isinstance(event_rate, str) else event_rate)
        self.authenticator = authenticator
        self.compat_auth: AuthMode = compat_auth or ("required" if authenticator is not None else "none")
        self.concurrent_handlers = async_handlers
        self.middleware: tuple[Callable[[Client], Any], ...] = ()
        self.watched = OutgoingObservers()
        self._clients: dict[str, Client] = {}
        self.occupancy = RoomPresence(self.instance_id) if occupancy is None else occupancy
        self._registry = NamespaceRegistry(self.occupancy)
        self.rooms_of = self._registry.rooms
        self._handshakes = HandshakeReader(trusted_proxies)
        self._tasks = Tasks()
        self.spawn = self._tasks.spawn
        self.drain = Drain(self)
        self._started = False
        super().__init__(*args, async_handlers=async_handlers, namespaces=namespaces, **kwargs)
        # An empty list is none; a single name would let in its substrings.
        single = isinstance(namespaces, str) and namespaces != "*"
        self._cork = self.engine.cork
        self.namespaces: Any = ["/"] if namespaces is None else [namespaces] if single else namespaces
        self.adapter = adapter or Adapter()
        self.adapter.bind(self)

    @property
    def engine(self) -> Engine:
        return self.eio  # type: ignore[no-any-return]  # untyped

    # Start and stop.

    def attach(self, app: web.Application, socketio_path: str = "socket.io") -> None:
        """Serve Socket.IO under `socketio_path` of an aiohttp application, and start and stop with it."""
        super().attach(app, socketio_path)
        app.on_startup.append(lambda _: self.start())
        app.on_shutdown.append(lambda _: self.stop())

    async def start(self) -> None:
        if self._started:
            return
        self._started = True
        await self.adapter.start()
        for namespace in self.namespaces_by_path.values():
            await namespace.on_start()

    async def stop(self) -> None:
        """Close every connection so that clients reconnect elsewhere, let handlers finish, leave the cluster."""
        if not self._started:
            return
        self._started = False
        await self.drain.run()
        await self._tasks.finish(self.drain.patience)
        for namespace in self.namespaces_by_path.values():
            await dispatcher.run_stop(namespace)
        await self.adapter.stop()
        await self.shutdown()

    # Namespaces.

    @property
    def namespaces_by_path(self) -> Mapping[str, Namespace]:
        return self._registry.namespaces

    def add_namespace(self, namespace: Namespace) -> None:
        """Put a `Namespace` to work; before the server starts."""
        self._registry.add(namespace)
        namespace.server = self
        if isinstance(namespace.path, str):
            self.adapter.namespace_added(namespace.path)

    def use(self, step: Step) -> Step:
        """Ask `step(client)`, plain or async, before the connect handler of every namespace; it may raise `Refused`."""
        self.middleware += (step,)
        return step

    def of(self, namespace: str) -> Operator:
        """Address the clients of a namespace: `server.of("/chat").to("room").emit(…)`."""
        return Operator(self.adapter, namespace)

    def knows(self, name: str) -> bool:
        return self._registry.handler(name) is not None or takes(self, name)

    async def handler_for(self, name: str, auth: Mapping[str, Any] | None) -> Handler:
        """Raises `Refused` for a name that is no namespace."""
        return await self._registry.find(name, auth) or compat_handler(self, name)

    def open_namespaces(self) -> list[str]:
        return self._registry.open_names()

    def room_table(self, name: str, handler: Handler | None = None) -> Rooms:
        rooms, new = self._registry.open(name, handler is not None and handler.room_presence)
        if new:
            self.adapter.namespace_added(name)
        return rooms

    async def handle_server_event(self, name: str, args: list[Any]) -> Any:
        """Run a `@server_event` for another server; raises `LookupError` when there is none."""
        if (handler := self._registry.handler(name)) is None:
            raise LookupError(f"no namespace {name}")
        return await handler.server_event(args)

    # Clients, for `Connection` and `Adapter`.

    def register(self, client: Client) -> None:
        self._clients[client.id] = client
        client.connection.registered += 1

    async def part(self, client: Client, reason: str) -> None:
        """A client that was let in is gone: tell its handler, then forget it."""
        try:
            client.depart()
            await dispatcher.run_disconnect(client, reason)
        finally:
            self.forget(client)

    def forget(self, client: Client) -> None:
        if self._clients.pop(client.id, None) is None:
            return
        client.connection.registered -= 1
        self.release_environ(client.connection)
        if self._registry.close_if_empty(client.namespace_name):
            self.adapter.namespace_removed(client.namespace_name)

    def find(self, sid: str, namespace: str | None = None) -> Client | None:
        """A client of this server in any state: connecting, connected or leaving."""
        client = self._clients.get(sid)
        return client if client is not None and namespace in (None, client.namespace_name) else None

    def deliver(self, clients: list[Client], message: PreparedMessage, flags: Flags) -> None:
        """Hand one encoded packet to many clients."""
        fan_out(clients, message, flags.volatile, self._cork.current_iteration())
        self.metrics.events_out(clients[0].handler.label, len(clients))

    # What the engine reports.

    @property
    def needs_request(self) -> bool:
        """Handlers of python-socketio get the environ and the request."""
        return bool(self.handlers or self.namespace_handlers)

    def session_opened(self, session: Session, request: HandshakeRequest) -> Connection:
        given = self.gate.open((handshake := self._handshakes.read(request)).address)
        if self.needs_request:
            self.environ[session.id] = translate_request(request)  # it is aiohttp's
        kind = self.parser.connection if session.revision == 4 else Eio3Connection
        return kind(self, session, handshake, given)

    @property
    def connections(self) -> Mapping[str, Connection]:
        """By session id; made anew for each call."""
        return {id: cast("Connection", session.receiver) for id, session in self.engine.sockets.items()}

    def release_environ(self, connection: JoinedNamespaces) -> None:
        """Disconnect handlers of python-socketio may still ask for it."""
        if connection.closed and not connection.registered:
            self.environ.pop(connection.id, None)

    def _engineio_server_class(self) -> Any:
        return partial(Engine, self, self.metrics, self.instance_id)
