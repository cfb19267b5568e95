"""The identity of a client in a namespace that requires one."""

from __future__ import annotations

from rtserver.errors import Forbidden
from rtserver.identity import Identity
from rtserver.sio.client.client import Client


def identity_of(client: Client) -> Identity:
    """The identity; raises `Forbidden` without one, which only a wrongly configured namespace allows."""
    if client.identity is None:
        raise Forbidden("This event requires an identity")
    return client.identity
