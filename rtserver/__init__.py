"""rtserver: a ready-to-run Socket.IO server.

from rtserver import Client, Namespace, event

class Tracking(Namespace, path="/tracking"):
    @event("joinOrder")
    async def join_order(self, client: Client, order_id: str) -> dict:
        await client.join(f"order:{order_id}")
        return {"ok": True}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtserver.app import create_app
    from rtserver.cluster.emitter import Emitter, SyncEmitter
    from rtserver.engine.front import Runner
    from rtserver.errors import EventError, Refused
    from rtserver.settings import Settings
    from rtserver.sio.client import Client
    from rtserver.sio.namespace import Namespace
    from rtserver.sio.table import event, server_event
    from rtserver.standalone import Server

__all__ = [
    "Client",
    "Emitter",
    "EventError",
    "Namespace",
    "Refused",
    "Runner",
    "Server",
    "Settings",
    "SyncEmitter",
    "create_app",
    "event",
    "server_event",
]

# Loaded when first asked for: a plugin or an emitter needs little of the server.
_HOMES = {
    "Client": "sio.client",
    "Emitter": "cluster.emitter",
    "EventError": "errors",
    "Namespace": "sio.namespace",
    "Refused": "errors",
    "Runner": "engine.front",
    "Server": "standalone",
    "Settings": "settings",
    "SyncEmitter": "cluster.emitter",
    "create_app": "app",
    "event": "sio.table",
    "server_event": "sio.table",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
