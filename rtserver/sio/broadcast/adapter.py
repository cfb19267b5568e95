"""The adapter: carries broadcasts and room operations to every server of a cluster. This one is for a single server.

It is also the base class of every cluster adapter. Each operation comes twice:

1. The methods that `Operator` calls act on the whole cluster.
2. The `local_*` methods act on this server's clients. A cluster adapter calls them for its own requests and for those
   that it receives from other servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from rtserver.errors import TimedOut
from rtserver.protocol import packets
from rtserver.sio.broadcast.fanout import fan_out
from rtserver.sio.broadcast.remote_socket import RemoteSocket

if TYPE_CHECKING:
    from rtserver.sio.broadcast.interfaces import AdapterContext
    from rtserver.sio.broadcast.target import Target


Screen = Callable[[list[Any], Sequence[str]], bool]
"""Called with `[event, *args]` and the rooms that a broadcast addresses."""


class AckTimeout(TimedOut):
    """Not all clients answered in time.

    `responses` are the answers that came. `expected` is the number of clients asked; None when a server did not
    report how many it has.
    """

    def __init__(self, responses: list[Any], expected: int | None = None) -> None:
        of = "" if expected is None else f" of {expected}"
        super().__init__(f"Not all clients answered in time: {len(responses)}{of} answers came")
        self.responses = responses
        self.expected = expected


class Adapter:
    """The in-process adapter. `bind` is called first, `start` in the running loop, `namespace_added` at any time."""

    server: AdapterContext

    def bind(self, server: AdapterContext) -> None:
        """Set the server whose clients this adapter addresses."""
        self.server = server

    async def start(self) -> None:
        """Called when the server starts."""

    async def stop(self) -> None:
        """Called when the server stops, after its clients have left."""

    def namespace_added(self, nsp: str) -> None:
        """Called when a namespace opens on this server."""

    def namespace_removed(self, nsp: str) -> None:
        """Called when a dynamic namespace closes on this server."""

    def screen(self, nsp: str, accepts: Screen) -> None:
        """Ask `accepts(args, rooms)` before a broadcast of another server reaches the clients of the namespace here.

        Broadcasts that it returns False for are not delivered. A single server receives none.
        """

    # Operations on the whole cluster.

    def broadcast(self, nsp: str, args: list[Any], target: Target) -> None:
        """Send `[event, *args]` to all clients that `target` selects; never waits."""
        self.local_broadcast(nsp, args, target)

    async def broadcast_with_ack(self, nsp: str, args: list[Any], target: Target, timeout: float) -> list[Any]:
        """Send `[event, *args]` and return the first ack argument of each client.

        Raises `AckTimeout` when some have not answered after `timeout` seconds.
        """
        responses: list[Any] = []
        asked: list[int] = []
        keep = target.flags.keep

        def on_ack(value: Any) -> None:
            responses.append(value if keep is None else keep(value))

        complete = await self.local_broadcast_with_ack(nsp, args, target, timeout, asked.append, on_ack)
        if not complete:
            raise AckTimeout(responses, sum(asked))
        return responses

    async def fetch_sockets(self, nsp: str, target: Target) -> list[RemoteSocket]:
        """Snapshots of the selected sockets."""
        return self.local_sockets(nsp, target)

    async def all_rooms(self, nsp: str) -> set[str]:
        """The names of all rooms, socket ids included."""
        return self.local_rooms(nsp)

    async def sockets_join(self, nsp: str, target: Target, rooms: Iterable[str]) -> None:
        """Make the selected clients join rooms."""
        self.local_join(nsp, target, rooms)

    async def sockets_leave(self, nsp: str, target: Target, rooms: Iterable[str]) -> None:
        """Make the selected clients leave rooms."""
        self.local_leave(nsp, target, rooms)

    async def disconnect_sockets(self, nsp: str, target: Target, close: bool) -> None:
        """Disconnect the selected clients; with `close`, close their connections."""
        await self.local_disconnect(nsp, target, close)

    async def server_side_emit(self, nsp: str, args: list[Any]) -> None:
        """Call the `@server_event` handlers of the other servers; a single server has none."""

    async def server_side_emit_with_ack(self, nsp: str, args: list[Any], timeout: float) -> list[Any]:
        """The return values of the `@server_event` handlers of the other servers; `timeout` is in seconds."""
        return []

    # The same on this server only.

    def has_room(self, nsp: str, room: str) -> bool:
        """Whether a client of this server is in `room`."""
        rooms = self.server.rooms_of(nsp)
        return rooms is not None and rooms.has(room)

    def local_broadcast(self, nsp: str, args: list[Any], target: Target) -> None:
        """Encode `[event, *args]` once and send it to the selected clients of this server."""
        server = self.server
        rooms = server.rooms_of(nsp)
        if rooms is None:
            return
        selected = rooms.select(target)
        if selected:
            if server.outgoing_observers:
                server.outgoing_observers.show(selected, args)
            message = server.encode_packet(packets.EVENT, nsp, args)
            message.compress = target.flags.compress
            fan_out(selected, message, target.flags.volatile, server.engine.cork.current_iteration())
            server.metrics.events_out(selected[0].handler.label, len(selected))

    async def local_broadcast_with_ack(
        self,
        nsp: str,
        args: list[Any],
        target: Target,
        timeout: float,
        on_count: Callable[[int], None],
        on_ack: Callable[[Any], None],
    ) -> bool:
        """Report the number of clients by `on_count`, then each answer by `on_ack`.

        Returns False when `timeout` seconds passed first. A client that leaves without answering is not waited for.
        """
        rooms = self.server.rooms_of(nsp)
        selected = rooms.select(target) if rooms is not None else []
        on_count(len(selected))
        pending = [(client, *client.expect_ack()) for client in selected]
        try:
            for client, id, _ in pending:
                client.send_event(args, id, compress=target.flags.compress)
            async with asyncio.timeout(timeout):
                for answered in asyncio.as_completed([future for _, _, future in pending]):
                    answer = await answered
                    if answer is not None:
                        on_ack(answer[0] if answer else None)
        except TimeoutError:
            return False
        finally:
            for client, id, _ in pending:
                client.forget_ack(id)
        return True

    def local_sockets(self, nsp: str, target: Target) -> list[RemoteSocket]:
        """Snapshots of the selected clients, those that are leaving included."""
        rooms = self.server.rooms_of(nsp)
        if rooms is None:
            return []
        selected = [*rooms.select(target), *rooms.leaving(target)]
        page = target.flags.page
        if page is not None:
            following = (client for client in selected if client.id > page.after)
            selected = nsmallest(page.limit, following, key=lambda client: client.id)
        return [
            RemoteSocket(
                adapter=self,
                namespace=nsp,
                id=client.id,
                rooms={client.id, *client.rooms},
                data=dict(client.data),
                handshake=client.handshake.public(),
                user=client.identity.user if client.identity else None,
                transport=client.transport,
                instance=self.server.instance_id,
            )
            for client in selected
        ]

    def local_rooms(self, nsp: str) -> set[str]:
        """The rooms that have members on this server, socket ids included."""
        rooms = self.server.rooms_of(nsp)
        return rooms.names() if rooms is not None else set()

    def local_join(self, nsp: str, target: Target, names: Iterable[str]) -> None:
        """Join as many rooms as the limits allow. The others are counted as dropped and raise nothing.

        One client that is in too many rooms must not stop the others from joining.
        """
        rooms, limits, names = self.server.rooms_of(nsp), self.server.limits, tuple(dict.fromkeys(names))
        allowed = tuple(name for name in names if len(name) <= limits.max_room_length)
        if rooms is not None:
            for client in rooms.select(target):
                accepted = allowed
                if len(client.rooms) + len(allowed) > limits.max_rooms:
                    accepted = _within_limit(limits.max_rooms - len(client.rooms), client.rooms, allowed)
                rooms.join(client, accepted)
                for _ in range(len(names) - len(accepted)):
                    self.server.metrics.dropped("room")

    def local_leave(self, nsp: str, target: Target, names: Iterable[str]) -> None:
        rooms, names = self.server.rooms_of(nsp), tuple(names)
        if rooms is not None:
            for client in rooms.select(target):
                rooms.leave(client, names)

    async def local_disconnect(self, nsp: str, target: Target, close: bool) -> None:
        rooms = self.server.rooms_of(nsp)
        if rooms is not None:
            for client in rooms.select(target):
                await client.disconnect(close)

    async def local_server_event(self, nsp: str, args: list[Any]) -> Any:
        """Run the handler of another server's `server_side_emit`; raises `LookupError` when there is none."""
        return await self.server.handle_server_event(nsp, args)


def _within_limit(free: int, joined: Collection[str], names: Iterable[str]) -> tuple[str, ...]:
    """The names that are joined already, and the first `free` of the others."""
    accepted = []
    for name in names:
        if name not in joined:
            free -= 1
        if name in joined or free >= 0:
            accepted.append(name)
    return tuple(accepted)
