"""The identity of a client in a namespace that lets nobody in without one."""

from __future__ import annotations

from rtserver.errors import Forbidden
from rtserver.identity import Identity
from rtserver.sio.client.client import Client


def identity_of(client: Client) -> Identity:
    """Who the client is; `forbidden` where a namespace was opened to strangers by mistake."""
    if client.identity is None:
        raise Forbidden("An identity is needed here")
    return client.identity
