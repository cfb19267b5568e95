"""What joins the servers of a cluster: this one is the cluster of one, and the base of every other.

An adapter carries out what the operator asks: on this server through the `local_*` methods, elsewhere by whatever
means it has. The split lets a cluster adapter act on messages from others with the same code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from rtserver.errors import TimedOut
from rtserver.protocol import packets
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.target import Target

if TYPE_CHECKING:
    from rtserver.sio.server import Server


class AckTimeout(TimedOut):
    """Not everybody answered in time.

    `responses` are the answers that came; `expected` is how many were asked, None where a server did not tell.
    """

    def __init__(self, responses: list[Any], expected: int | None = None) -> None:
        of = "" if expected is None else f" of {expected}"
        super().__init__(f"Not everybody answered in time: {len(responses)}{of} answers came")
        self.responses = responses
        self.expected = expected


class Adapter:
    """The in-process adapter. `bind` comes first, `start` with the running loop, `namespace_added` at any time."""

    server: Server

    def bind(self, server: Server) -> None:
        self.server = server

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def namespace_added(self, nsp: str) -> None: ...

    def namespace_removed(self, nsp: str) -> None: ...

    # What the operator asks, cluster-wide.

    def broadcast(self, nsp: str, args: list[Any], target: Target) -> None:
        """Send `[event, *args]` to everybody addressed; never waits."""
        self.local_broadcast(nsp, args, target)

    async def broadcast_with_ack(self, nsp: str, args: list[Any], target: Target, timeout: float) -> list[Any]:
        """The first ack argument of everybody addressed; raises `AckTimeout` when not all came in `timeout` seconds."""
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
        return self.local_sockets(nsp, target)

    async def all_rooms(self, nsp: str) -> set[str]:
        return self.local_rooms(nsp)

    async def sockets_join(self, nsp: str, target: Target, rooms: Iterable[str]) -> None:
        self.local_join(nsp, target, rooms)

    async def sockets_leave(self, nsp: str, target: Target, rooms: Iterable[str]) -> None:
        self.local_leave(nsp, target, rooms)

    async def disconnect_sockets(self, nsp: str, target: Target, close: bool) -> None:
        await self.local_disconnect(nsp, target, close)

    async def server_side_emit(self, nsp: str, args: list[Any]) -> None:
        """Call the `@server_event` of the other servers; here there are none."""

    async def server_side_emit_with_ack(self, nsp: str, args: list[Any], timeout: float) -> list[Any]:
        return []

    # The same on this server only.

    def has_room(self, nsp: str, room: str) -> bool:
        rooms = self.server.rooms_of(nsp)
        return rooms is not None and rooms.has(room)

    def local_broadcast(self, nsp: str, args: list[Any], target: Target) -> None:
        rooms = self.server.rooms_of(nsp)
        if rooms is None:
            return
        chosen = rooms.select(target)
        if chosen:
            if self.server.watched:
                self.server.watched.show(chosen, args)
            message = self.server.encode_packet(packets.EVENT, nsp, args)
            message.compress = target.flags.compress
            self.server.deliver(chosen, message, target.flags)

    async def local_broadcast_with_ack(
        self,
        nsp: str,
        args: list[Any],
        target: Target,
        timeout: float,
        on_count: Callable[[int], None],
        on_ack: Callable[[Any], None],
    ) -> bool:
        """Tell how many are asked, then each answer as it comes; False when `timeout` seconds passed first.

        A client that leaves without answering is not waited for.
        """
        rooms = self.server.rooms_of(nsp)
        chosen = rooms.select(target) if rooms is not None else []
        on_count(len(chosen))
        pending = [(client, *client.expect_ack()) for client in chosen]
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
        rooms = self.server.rooms_of(nsp)
        if rooms is None:
            return []
        chosen = [*rooms.select(target), *rooms.leaving(target)]
        page = target.flags.page
        if page is not None:
            chosen = nsmallest(page.limit, (one for one in chosen if one.id > page.after), key=lambda one: one.id)
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
            for client in chosen
        ]

    def local_rooms(self, nsp: str) -> set[str]:
        rooms = self.server.rooms_of(nsp)
        return rooms.names() if rooms is not None else set()

    def local_join(self, nsp: str, target: Target, names: Iterable[str]) -> None:
        """What is past the bounds is left out and counted: one client's full list must not stop the others."""
        rooms, bounds, names = self.server.rooms_of(nsp), self.server.bounds, tuple(dict.fromkeys(names))
        short = tuple(name for name in names if len(name) <= bounds.max_room_length)
        if rooms is not None:
            for client in rooms.select(target):
                taken = short
                if len(client.rooms) + len(short) > bounds.max_rooms:
                    taken = _within(bounds.max_rooms - len(client.rooms), client.rooms, short)
                rooms.join(client, taken)
                for _ in range(len(names) - len(taken)):
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


def _within(free: int, joined: Collection[str], names: Iterable[str]) -> tuple[str, ...]:
    """Those that are joined already, and as many others as there is place for."""
    taken = []
    for name in names:
        if name not in joined:
            free -= 1
        if name in joined or free >= 0:
            taken.append(name)
    return tuple(taken)
