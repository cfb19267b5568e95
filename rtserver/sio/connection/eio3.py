"""Connections of Socket.IO v2 clients, who speak Engine.IO revision 3: what is different from `connection`.

As Node's `allowEIO3` has it (https://github.com/socketio/socket.io-protocol/tree/v4):
1. Everybody is in `/` unasked, where there is such a namespace.
2. The id of a socket is made of the session's: in `/` it is the same, elsewhere `/chat#<session id>`. The client makes
   it so too; so whoever is told it can speak for that session.
3. CONNECT carries a query string, which becomes `auth`; its answer carries nothing.
4. A refusal carries the data of the error alone, or its message.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from rtserver.engine.session.session import Session
from rtserver.errors import Refused
from rtserver.protocol import packets
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.connection.connection import Connection
from rtserver.sio.limits.connection_limits import ConnectionSlot

ROOT = "/"
MAX_FIELDS = 100
LEAVING_SECONDS = 0.01


class Eio3Connection(Connection):
    __slots__ = ()

    def __init__(self, server: Any, session: Session, handshake: Handshake, gate_pass: ConnectionSlot) -> None:
        super().__init__(server, session, handshake, gate_pass)
        # The session is not known to the engine yet.
        asyncio.get_running_loop().call_soon(self._join_root)

    def _join_root(self) -> None:
        if not self.closed and (self.server.knows(ROOT) or self.gate_pass.refused is not None):
            self._start_connect(ROOT, self.handshake)

    def new_id(self, nsp: str) -> str:
        return self.id if nsp == ROOT else f"{nsp}#{self.id}"

    def _receive(self, message: str | bytes) -> None:
        if isinstance(message, str) and message.startswith("0/") and self._assembler is None:
            self._asked_to_join(message[1:].removesuffix(","))
        else:
            super()._receive(message)

    def _asked_to_join(self, target: str) -> None:
        nsp, _, query = target.partition("?")
        if len(nsp) > packets.MAX_NAMESPACE_LENGTH or "," in nsp:
            raise packets.PacketError("invalid namespace")
        try:
            auth = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            raise packets.PacketError("too many fields in a query") from None
        self._start_connect(nsp, self.handshake.with_auth(auth))

    async def _connect(self, nsp: str, handshake: Handshake) -> None:
        # It has the id of its last stay there, whose disconnect handler may still be at work.
        while not self.closed and self.server.find(self.new_id(nsp)) is not None:  # noqa: ASYNC110  # too rare for an event
            await asyncio.sleep(LEAVING_SECONDS)
        await super()._connect(nsp, handshake)

    def _welcome(self, client: Any) -> Any:
        return None

    def _told(self, refused: Refused) -> Any:
        return refused.data or refused.message
