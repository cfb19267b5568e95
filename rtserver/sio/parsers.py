"""The two ways to write packets, and what a server needs for each. Every client of a server has the same."""

from __future__ import annotations

from dataclasses import dataclass

from rtserver.sio.client import Client
from rtserver.sio.connection import Connection
from rtserver.sio.msgpack_connection import MsgpackClient, MsgpackConnection
from rtserver.sio.outgoing import Encode, outgoing, outgoing_msgpack


@dataclass(frozen=True, slots=True)
class Parser:
    outgoing: Encode
    connection: type[Connection]
    client: type[Client]


_PARSERS = {
    "default": Parser(outgoing, Connection, Client),
    "msgpack": Parser(outgoing_msgpack, MsgpackConnection, MsgpackClient),
}


def parser_of(serializer: str) -> Parser:
    """By python-socketio's name for it; raises `ValueError`."""
    parser = _PARSERS.get(serializer)
    if parser is None:
        raise ValueError(f'the serializer is "default" or "msgpack", not {serializer!r}')
    return parser
