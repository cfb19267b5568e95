"""From a CONNECT packet to a client that may enter: the namespace, the identity, the connect handler, in this order.

Whoever is not let in leaves no trace: not in the server's clients, not in a room, whatever the handler did or raised,
however long it took, and if the connection was closed meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtserver.errors import Refused
from rtserver.sio.client.client import Client, State
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.dispatch import dispatcher

if TYPE_CHECKING:
    from rtserver.sio.connection.joined_namespaces import JoinedNamespaces


async def admit(connection: JoinedNamespaces, nsp: str, handshake: Handshake) -> Client | None:
    """The client, ready to be accepted; None when the connection is gone. Raises `Refused`."""
    try:
        async with asyncio.timeout(connection.server.bounds.connect_timeout):
            client = await _identified(connection, nsp, handshake)
            return await _connected(client) if client is not None else None
    except TimeoutError:
        raise Refused("Timed out", code="timeout") from None


async def _identified(connection: JoinedNamespaces, nsp: str, handshake: Handshake) -> Client | None:
    server = connection.server
    handler = await server.handler_for(nsp, handshake.auth)
    identity = await dispatcher.identify(server.authenticator, handler, handshake)
    if connection.closed:
        return None
    if identity is not None:
        server.gate.enter(connection.gate_pass, identity.user)
    client = server.parser.client(connection.new_id(nsp), connection, nsp, handler, identity, handshake)
    if identity is not None:
        client.rooms.add(identity.room)
    return client


async def _connected(client: Client) -> Client | None:
    connection = client.connection
    server = connection.server
    server.register(client)
    try:
        await dispatcher.run_connect(client)
        if client.state is State.GONE:
            raise Refused("Disconnected by the server")
    except BaseException:
        client.depart()
        server.forget(client)
        raise
    if connection.closed:
        # It was let in, but has left meanwhile: give the handler the chance to undo what it did.
        await server.part(client, server.reason.TRANSPORT_CLOSE)
        return None
    return client
