"""Operators of one client: to itself with flags, and to other clients. The part of Node's `socket` that broadcasts.

As in Node, flags come before rooms: `client.volatile.to("a").emit(…)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rtserver.sio.broadcast.operator import DEFAULT_ACK_TIMEOUT, Operator, check_event_name
from rtserver.sio.broadcast.room_names import RoomName
from rtserver.sio.broadcast.target import Flags, Target

if TYPE_CHECKING:
    from rtserver.sio.dispatch.interfaces import ClientContext


class ClientFlags:
    """The flags and room selectors that `Client` and `ClientOperator` share."""

    __slots__ = ()

    def _client_and_flags(self) -> tuple[ClientContext, Flags]:
        raise NotImplementedError

    def _flag(self, **flags: Any) -> ClientOperator:
        client, set_so_far = self._client_and_flags()
        return ClientOperator(client, set_so_far._replace(**flags))

    @property
    def volatile(self) -> ClientOperator:
        """The event may be dropped for a client that is not ready to receive it."""
        return self._flag(volatile=True)

    @property
    def local(self) -> ClientOperator:
        """When other clients are addressed: only those of this server."""
        return self._flag(local=True)

    def compress(self, on: bool) -> ClientOperator:
        """With `False`, the event is not compressed, even where WebSockets are."""
        return self._flag(compress=on)

    def timeout(self, seconds: float) -> ClientOperator:
        """Set how long `emit_with_ack` waits."""
        return self._flag(timeout=seconds)

    @property
    def broadcast(self) -> Operator:
        """All clients of the namespace except this one."""
        client, flags = self._client_and_flags()
        server = client.connection.server
        return Operator(server.adapter, client.namespace_name, Target(except_=(client.id,), flags=flags))

    def to(self, *rooms: RoomName | Iterable[RoomName]) -> Operator:
        """The members of these rooms except this client."""
        return self.broadcast.to(*rooms)

    in_ = to

    def except_(self, *rooms: RoomName | Iterable[RoomName]) -> Operator:
        """All clients of the namespace except this one and the members of these rooms."""
        return self.broadcast.except_(*rooms)


class ClientOperator(ClientFlags):
    """One client with flags. Immutable: every step returns a new operator."""

    __slots__ = ("_client", "_flags")

    def __init__(self, client: ClientContext, flags: Flags) -> None:
        self._client = client
        self._flags = flags

    def _client_and_flags(self) -> tuple[ClientContext, Flags]:
        return self._client, self._flags

    async def emit(self, event: str, *args: Any) -> None:
        """Emit to this client. Does not wait for delivery."""
        flags = self._flags
        self._client.send_event([check_event_name(event), *args], volatile=flags.volatile, compress=flags.compress)

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Emit and return the first value of the client's ack; raises `AckTimeout`."""
        timeout = self._flags.timeout or DEFAULT_ACK_TIMEOUT
        answer = await self._client.request_ack([check_event_name(event), *args], timeout, self._flags.compress)
        return answer[0] if answer else None
