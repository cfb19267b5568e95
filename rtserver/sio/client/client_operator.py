"""From one client to others, and to itself with flags: the part of Node's `socket` that `client` has as well.

As in Node, flags come before the rooms: `client.volatile.to("a").emit(…)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rtserver.sio.broadcast.operator import DEFAULT_ACK_TIMEOUT, Operator, check_event_name
from rtserver.sio.broadcast.target import Flags, Target

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client


class ClientFlags:
    """Where a broadcast leaves from: a client, with the flags set so far."""

    __slots__ = ()

    def _stand(self) -> tuple[Client, Flags]:
        raise NotImplementedError

    def _flag(self, **flags: Any) -> ClientOperator:
        client, set_so_far = self._stand()
        return ClientOperator(client, set_so_far._replace(**flags))

    @property
    def volatile(self) -> ClientOperator:
        """The event may be dropped for who cannot take it now."""
        return self._flag(volatile=True)

    @property
    def local(self) -> ClientOperator:
        """When others are addressed: those of this server only."""
        return self._flag(local=True)

    def compress(self, on: bool) -> ClientOperator:
        """`False`: not worth it, where the WebSocket is compressed."""
        return self._flag(compress=on)

    def timeout(self, seconds: float) -> ClientOperator:
        """How long `emit_with_ack` waits."""
        return self._flag(timeout=seconds)

    @property
    def broadcast(self) -> Operator:
        """Everybody in the namespace but the client."""
        client, flags = self._stand()
        return Operator(client.server.adapter, client.namespace_name, Target(except_=(client.id,), flags=flags))

    def to(self, *rooms: str | Iterable[str]) -> Operator:
        """The members of these rooms but the client."""
        return self.broadcast.to(*rooms)

    in_ = to

    def except_(self, *rooms: str | Iterable[str]) -> Operator:
        return self.broadcast.except_(*rooms)


class ClientOperator(ClientFlags):
    """One client with flags. Immutable: every step gives a new one."""

    __slots__ = ("_client", "_flags")

    def __init__(self, client: Client, flags: Flags) -> None:
        self._client = client
        self._flags = flags

    def _stand(self) -> tuple[Client, Flags]:
        return self._client, self._flags

    async def emit(self, event: str, *args: Any) -> None:
        flags = self._flags
        self._client.send_event([check_event_name(event), *args], volatile=flags.volatile, compress=flags.compress)

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """The first value of the client's ack; raises `AckTimeout`."""
        timeout = self._flags.timeout or DEFAULT_ACK_TIMEOUT
        answer = await self._client.ask([check_event_name(event), *args], timeout, self._flags.compress)
        return answer[0] if answer else None
