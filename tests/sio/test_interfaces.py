"""The interfaces through which lower modules see the server, against the classes that implement them.

mypy cannot check the server: its base class, python-socketio's, is untyped, and so compatible with every interface.
"""

from __future__ import annotations

import inspect

import pytest

from rtserver.sio.broadcast.interfaces import AdapterContext, RemoteOperations
from rtserver.sio.client.interfaces import ConnectionContext
from rtserver.sio.compat.interfaces import ApiContext, CompatServer
from rtserver.sio.connection.interfaces import ConnectionServer, JoiningConnection
from rtserver.sio.dispatch.interfaces import ClientContext, ServerContext
from rtserver.sio.drain import DrainingServer
from rtserver.sio.namespace.namespace import Namespace
from rtserver.sio.server import Server


def members(protocol):
    """The names of the attributes and methods of a protocol and its bases."""
    found = set()
    for base in protocol.__mro__:
        if base.__module__.startswith("rtserver."):
            found |= {*vars(base), *inspect.get_annotations(base)}
    internal = {"_abc_impl", "_is_protocol", "_is_runtime_protocol"}
    return {name for name in found if not name.startswith("__") and name not in internal}


def missing(protocol, implementation):
    return {name for name in members(protocol) if not hasattr(implementation, name)}


@pytest.mark.parametrize(
    "interface", [AdapterContext, ServerContext, ConnectionServer, ApiContext, CompatServer, DrainingServer]
)
def test_the_server_has_what_its_parts_ask_of_it(interface):
    assert "engine" in members(interface)
    assert missing(interface, Server()) == set()


def test_the_adapter_has_what_remote_sockets_ask_of_it():
    assert missing(RemoteOperations, Server().adapter) == set()


async def test_a_connection_and_its_clients_have_what_their_parts_ask_of_them(serve, raw):
    class Open(Namespace, path="/"):
        auth = "none"

    served = await serve(Open())
    await (await raw(served.url)).connect()
    (connection,) = served.server.connections.values()
    (client,) = connection.clients
    assert missing(ConnectionContext, connection) == set()
    assert missing(JoiningConnection, connection) == set()
    assert {name for name in members(ClientContext) if not hasattr(type(client), name)} == set()
