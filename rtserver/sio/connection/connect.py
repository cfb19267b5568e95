"""Admission of a client to a namespace: find the handler, check the identity, run the connect handler, in this order.

A client that is not admitted leaves no trace, neither in the server's clients nor in a room: whatever the connect
handler did or raised, however long it took, and also when the connection was closed meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtserver.errors import Refused
from rtserver.sio.client.client import Client
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.dispatch import dispatcher

if TYPE_CHECKING:
    from rtserver.sio.connection.interfaces import JoiningConnection


async def admit(connection: JoiningConnection, nsp: str, handshake: Handshake) -> Client | None:
    """The admitted client; None when the connection was closed meanwhile. Raises `Refused`."""
    try:
        async with asyncio.timeout(connection.server.limits.connect_timeout):
            client = await _identify(connection, nsp, handshake)
            return await _run_connect(connection, client) if client is not None else None
    except TimeoutError:
        raise Refused("Timed out", code="timeout") from None


async def _identify(connection: JoiningConnection, nsp: str, handshake: Handshake) -> Client | None:
    server = connection.server
    handler = await server.find_handler(nsp, handshake.auth)
    identity = await dispatcher.identify(server.authenticator, handler, handshake)
    if connection.closed:
        return None
    if identity is not None:
        server.connection_limiter.identify(connection.slot, identity.user)
    client = server.client_class(connection.new_id(nsp), connection, nsp, handler, identity, handshake)
    if identity is not None:
        client.rooms.add(identity.room)
    return client


async def _run_connect(connection: JoiningConnection, client: Client) -> Client | None:
    server = connection.server
    server.register(client)
    try:
        await dispatcher.run_connect(client)
        if client.gone:
            raise Refused("Disconnected by the server")
    except BaseException:
        client.mark_gone()
        server.forget(client)
        raise
    if connection.closed:
        # The client was admitted and has left since: its disconnect handler can undo what the connect handler did.
        await server.finish_disconnect(client, server.reason.TRANSPORT_CLOSE)
        return None
    return client
