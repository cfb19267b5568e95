"""The identity of a client in a namespace that requires one, and whether it may still act."""

from __future__ import annotations

from rtserver.errors import Forbidden
from rtserver.identity import Identity
from rtserver.sio.client.client import Client


def identity_of(client: Client) -> Identity:
    """The identity; raises `Forbidden` without one, which only a wrongly configured namespace allows."""
    if client.identity is None:
        raise Forbidden("This event requires an identity")
    return client.identity


def check_not_expelled(client: Client) -> None:
    """Raise `Forbidden` for a client that the server has disconnected. To be called right before something is saved."""
    if client.expelled:
        raise Forbidden("The server has closed this connection")
