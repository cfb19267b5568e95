"""`Server`: a `socketio.AsyncServer` whose packets, rooms and dispatch are our own.

The public API of python-socketio stays (`@sio.event`, `AsyncNamespace`, `emit`, `call`, `session`, `enter_room`,
`attach`…), see `rtserver.sio.compat.server_api`. `add_namespace` adds `Namespace` classes. Data flows

    engine → Connection.receive → dispatcher → handler → Operator → Adapter → Rooms → fan_out → engine
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rtserver.engine.http.environ import wsgi_environ
from rtserver.engine.server import Engine
from rtserver.errors import Refused
from rtserver.ids import new_instance_id
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.broadcast.room_presence import RoomPresence
from rtserver.sio.client.expulsion import UnfinishedClients, expel
from rtserver.sio.client.handshake import HandshakeReader
from rtserver.sio.compat.handlers import check_reachable, compat_handler, has_handlers
from rtserver.sio.compat.server_api import SocketIOServerApi
from rtserver.sio.compat.unsupported import check_arguments
from rtserver.sio.connection.eio3 import Eio3Connection
from rtserver.sio.connection.parsers import parser_of
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.middleware import OutgoingObserverTable
from rtserver.sio.dispatch.rate_limits import EventLimiter
from rtserver.sio.drain import Drain
from rtserver.sio.limits.connection_limits import ConnectionLimiter
from rtserver.sio.namespace.registry import NamespaceRegistry
from rtserver.sio.options import ServerOptions
from rtserver.tasks import Tasks
from rtserver.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from aiohttp import web

    from rtserver.engine.http.request import HandshakeRequest
    from rtserver.engine.session.session import Session
    from rtserver.sio.broadcast.rooms import Rooms
    from rtserver.sio.client.client import Client
    from rtserver.sio.client.interfaces import ConnectionContext
    from rtserver.sio.connection.connection import Connection
    from rtserver.sio.dispatch.interfaces import AuthMode, Handler
    from rtserver.sio.namespace.namespace import Namespace

Step = TypeVar("Step", bound="Callable[[Client], Any]")


class Server(SocketIOServerApi):
    """A Socket.IO server for an aiohttp application.

    Arguments: those of `socketio.AsyncServer`, the fields of `ServerOptions` and of `Limits`, and the engine's.
    """

    def __init__(self, client_manager: Any = None, **arguments: Any) -> None:
        options = ServerOptions.from_arguments(arguments)
        check_arguments(arguments, ServerOptions.names())
        if options.serializer != "default" and arguments.get("allow_eio3"):
            raise ValueError("allow_eio3 works with the default serializer only")
        parser = parser_of(options.serializer)
        self.encode_packet = parser.encode_packet
        self.client_class = parser.client_class
        self._connection_class = parser.connection_class
        self.instance_id = options.instance_id or new_instance_id()
        self.metrics = options.metrics or Metrics()
        self.limits = options.limits
        self.connection_limiter = ConnectionLimiter(self.limits)
        self.event_limiter = EventLimiter(options.event_rate)
        self.authenticator = options.authenticator
        self.identity_leeway = options.identity_leeway
        self.compat_auth: AuthMode = options.compat_auth or ("none" if options.authenticator is None else "required")
        self.concurrent_handlers = options.async_handlers
        self.middleware: tuple[Callable[[Client], Any], ...] = ()
        self.outgoing_observers = OutgoingObserverTable()
        room_presence = options.room_presence  # compared with None, as one without users is false
        self.room_presence = RoomPresence(self.instance_id) if room_presence is None else room_presence
        self._registry = NamespaceRegistry(self.room_presence)
        self.rooms_of = self._registry.rooms
        self._clients: dict[str, Client] = {}
        self._unfinished = UnfinishedClients()
        trusted_proxies = list(options.trusted_proxies)
        self._handshake_reader = HandshakeReader(trusted_proxies)
        self._tasks = Tasks()
        self.spawn = self._tasks.spawn
        self.drain = Drain(self)
        self._started = False
        # python-socketio makes the engine here, by `_engineio_server_class`.
        super().__init__(
            self, client_manager, async_handlers=options.async_handlers,
            trusted_proxies=trusted_proxies, **arguments,
        )  # fmt: skip
        self.engine: Engine = self.eio
        self.namespaces: Any = _bare_namespaces(options.namespaces)
        self.adapter = options.adapter or Adapter()
        self.adapter.bind(self)

    # Start and stop.

    def attach(self, app: web.Application, socketio_path: str = "socket.io") -> None:
        """Serve Socket.IO under `socketio_path` of an aiohttp application, and start and stop with it."""
        super().attach(app, socketio_path)
        app.on_startup.append(lambda _: self.start())
        app.on_shutdown.append(lambda _: self.stop())

    async def start(self) -> None:
        """Start the adapter, then the namespaces; does nothing the second time.

        Raises `ValueError` for handlers that would never be called.
        """
        if self._started:
            return
        check_reachable(self, self._registry.handler)
        self._started = True
        await self.adapter.start()
        for namespace in self.namespaces_by_path.values():
            await dispatcher.run_start(namespace.on_start, type(namespace))

    async def stop(self) -> None:
        """Close all connections so that clients reconnect elsewhere, let handlers finish, leave the cluster."""
        if not self._started:
            return
        self._started = False
        await self.drain.run()
        await self._tasks.finish(self.drain.patience)
        for namespace in self.namespaces_by_path.values():
            await dispatcher.run_stop(namespace.on_stop, type(namespace).__name__)
        await self.adapter.stop()
        await self.shutdown()

    # Namespaces.

    @property
    def namespaces_by_path(self) -> Mapping[str, Namespace]:
        """The `Namespace` objects; dynamic ones by the text of their pattern or their class name."""
        return self._registry.namespaces

    def add_namespace(self, namespace: Namespace) -> None:
        """Add a `Namespace`, before the server starts; raises `ValueError` for one that no client could use."""
        self._registry.add(namespace)
        namespace.server = self
        if isinstance(namespace.path, str):
            self.adapter.namespace_added(namespace.path)

    def use(self, step: Step) -> Step:
        """Run `step(client)`, plain or async, before the connect handler of every namespace; it may raise `Refused`."""
        self.middleware += (step,)
        return step

    def of(self, namespace: str) -> Operator:
        """Address the clients of a namespace: `server.of("/chat").to("room").emit(…)`."""
        return Operator(self.adapter, namespace)

    def has_namespace(self, name: str) -> bool:
        """Whether handlers exist for a namespace."""
        return self._registry.handler(name) is not None or has_handlers(self, name)

    async def find_handler(self, name: str, auth: Mapping[str, Any] | None) -> Handler[Any]:
        """The handler of a namespace for a client that connects; raises `Refused` when there is none."""
        return await self._registry.find(name, auth) or compat_handler(self, name)

    def open_namespaces(self) -> list[str]:
        """The names that have a room table: all static namespaces, and dynamic ones with clients."""
        return self._registry.open_names()

    def room_table(self, name: str, room_presence: bool = False) -> Rooms[Any]:
        """The room table of a namespace, made when there is none; `room_presence`: a new one tracks users."""
        rooms, new = self._registry.open(name, room_presence)
        if new:
            self.adapter.namespace_added(name)
        return rooms

    async def handle_server_event(self, name: str, args: list[Any]) -> Any:
        """Run a `@server_event` for another server; raises `LookupError` when there is none."""
        if (handler := self._registry.handler(name)) is None:
            raise LookupError(f"no namespace {name}")
        return await handler.server_event(args)

    # Clients, for connections.

    def register(self, client: Client) -> None:
        """Make a client known by its id, from its connecting to the end of its disconnect handler and last event."""
        self._clients[client.id] = client
        client.connection.registered_clients += 1

    async def finish_disconnect(self, client: Client, reason: str) -> None:
        """Run the disconnect handler of an admitted client that has left, then forget the client.

        Handlers of python-socketio know a client by its id only: while events of this one wait, the id stays known.
        """
        try:
            client.mark_gone()
            await dispatcher.run_disconnect(client, reason)
        finally:
            if client.event_queue.jobs:
                client.event_queue.put(partial(self.forget, client))
            else:
                self.forget(client)
            self._unfinished.add(client)

    async def expel(self, user: str, patience: float) -> bool:
        """Close all connections of a user on this server and drop the events that wait, also of clients that are gone.

        Returns False where a handler still runs after `patience` seconds.
        """
        return await expel((*self._clients.values(), *self._unfinished), user, patience)

    def forget(self, client: Client) -> None:
        """Undo `register`; does nothing the second time."""
        if self._clients.pop(client.id, None) is None:
            return
        client.connection.registered_clients -= 1
        self.release_environ(client.connection)
        if self._registry.close_if_empty(client.namespace_name):
            self.adapter.namespace_removed(client.namespace_name)

    def find(self, sid: str, namespace: str | None = None) -> Client | None:
        """A client of this server in any state: connecting, connected or leaving."""
        client = self._clients.get(sid)
        return client if client is not None and namespace in (None, client.namespace_name) else None

    # The engine's `SessionListener`.

    @property
    def needs_request(self) -> bool:
        """Whether handlers of python-socketio exist: they get the environ, which contains the request."""
        return bool(self.handlers or self.namespace_handlers)

    def session_opened(self, session: Session, request: HandshakeRequest) -> Connection:
        """The connection for a new session; raises the engine's `Refusal` beyond the connection limits."""
        handshake = self._handshake_reader.read(request)
        slot = self.connection_limiter.acquire(handshake.address)
        self.engine.logger.info("%s: session opened by %s", session.public_id, handshake.address)
        if self.needs_request:
            self.environ[session.id] = wsgi_environ(cast("web.Request", request))
        connection_class = self._connection_class if session.revision == 4 else Eio3Connection
        return connection_class(self, session, handshake, slot)

    async def recognizes(self, session: Session, request: HandshakeRequest) -> bool:
        """Whether the request identifies the one user of the session's clients."""
        connection = cast("Connection | None", session.receiver)
        if connection is None or self.authenticator is None:
            return False
        try:
            identity = await self.authenticator.authenticate(self._handshake_reader.read(request))
        except Refused:
            return False
        users = {client.identity.user for client in connection.clients if client.identity is not None}
        return identity is not None and users == {identity.user}

    @property
    def connections(self) -> Mapping[str, Connection]:
        """The connections by session id; a new dict for each call."""
        return {id: cast("Connection", session.receiver) for id, session in self.engine.sockets.items()}

    def release_environ(self, connection: ConnectionContext) -> None:
        """Remove the environ of a closed connection, once no disconnect handler can ask for it any more."""
        if connection.closed and not connection.registered_clients:
            self.environ.pop(connection.id, None)

    def _engineio_server_class(self) -> Any:
        return partial(Engine, self, self.metrics, self.instance_id)


def _bare_namespaces(namespaces: list[str] | str | None) -> list[str] | str:
    """python-socketio's `namespaces`: those that exist without a handler. An empty list is none."""
    if namespaces is None:
        return ["/"]
    # In a list, as python-socketio tests `name in namespaces`, which for a text accepts its substrings.
    return [namespaces] if isinstance(namespaces, str) and namespaces != "*" else namespaces
