"""EIO3 connections: Socket.IO v2 clients, which speak Engine.IO revision 3. Only the differences to `connection`.

As with Node's `allowEIO3` (https://github.com/socketio/socket.io-protocol/tree/v4):
1. Every client joins `/` without a CONNECT, where that namespace exists.
2. The id of a socket is derived from the session id. The client does it too, from the whole id: the same in `/`, and
   `/chat#<session id>` elsewhere. The server does it from the public part alone, as everybody who knew the whole id
   could act for that session. So the client has `<id>.<secret>` where everybody else has `<id>`.
3. CONNECT carries a query string, which becomes `auth`. Its answer has no payload.
4. CONNECT_ERROR carries the data of the error alone, or else its message.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from rtserver.protocol import packets
from rtserver.sio.connection.connection import Connection

if TYPE_CHECKING:
    from rtserver.engine.session.session import Session
    from rtserver.errors import Refused
    from rtserver.sio.client.handshake import Handshake
    from rtserver.sio.connection.interfaces import ConnectionServer
    from rtserver.sio.limits.connection_limits import ConnectionSlot

ROOT = "/"
MAX_FIELDS = 100
RETRY_SECONDS = 0.01
"""The pause before checking again whether an id is free."""


class Eio3Connection(Connection):
    __slots__ = ()

    def __init__(
        self, server: ConnectionServer, engine_session: Session, handshake: Handshake, slot: ConnectionSlot
    ) -> None:
        super().__init__(server, engine_session, handshake, slot)
        # Later, as the engine has not registered the session yet.
        asyncio.get_running_loop().call_soon(self._join_root)

    def _join_root(self) -> None:
        if not self.closed and (self.server.has_namespace(ROOT) or self.slot.refused is not None):
            self._start_connect(ROOT, self.handshake)

    def new_id(self, nsp: str) -> str:
        public_id = self.engine_session.public_id
        return public_id if nsp == ROOT else f"{nsp}#{public_id}"

    def _receive(self, message: str | bytes) -> None:
        if isinstance(message, str) and message.startswith("0/") and self._assembler is None:
            self._receive_connect(message[1:].removesuffix(","))
        else:
            super()._receive(message)

    def _receive_connect(self, target: str) -> None:
        if len(target) > packets.MAX_CONNECT_LENGTH:
            raise packets.PacketError("CONNECT too long")
        nsp, _, query = target.partition("?")
        if len(nsp) > packets.MAX_NAMESPACE_LENGTH or "," in nsp:
            raise packets.PacketError("invalid namespace")
        try:
            auth = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            raise packets.PacketError("too many fields in a query") from None
        self._start_connect(nsp, self.handshake.with_auth(auth))

    async def _connect(self, nsp: str, handshake: Handshake) -> None:
        # The id is the same as before it left, and the disconnect handler of that time may still run.
        while not self.closed and self.server.find(self.new_id(nsp)) is not None:  # noqa: ASYNC110  # too rare for an event
            await asyncio.sleep(RETRY_SECONDS)
        await super()._connect(nsp, handshake)

    def _connect_payload(self, client: Any) -> Any:
        return None

    def _connect_error_payload(self, refused: Refused) -> Any:
        return refused.data or refused.message
