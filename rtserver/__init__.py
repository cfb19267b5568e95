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

from rtserver.lazy_package import lazy_package

if TYPE_CHECKING:
    from rtserver.app.composition import create_app
    from rtserver.app.standalone import Server
    from rtserver.cluster.emitter.emitter import Emitter, SyncEmitter
    from rtserver.config.settings import Settings
    from rtserver.engine.runner import Runner
    from rtserver.errors import EventError, Refused
    from rtserver.sio.broadcast.adapter import AckTimeout
    from rtserver.sio.client.client import Client
    from rtserver.sio.dispatch.event_table import event, server_event
    from rtserver.sio.namespace.namespace import Namespace

__all__ = [
    "AckTimeout",
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

# The rest of it is clients, which load the certificates of all authorities.
lazy_package("aiohttp", {"ClientError": "client_exceptions", "HttpVersion11": "http"})

# Imported at first use: a plugin or an emitter needs little of the server.
_HOMES = {
    "AckTimeout": "sio.broadcast.adapter",
    "Client": "sio.client.client",
    "Emitter": "cluster.emitter.emitter",
    "EventError": "errors",
    "Namespace": "sio.namespace.namespace",
    "Refused": "errors",
    "Runner": "engine.runner",
    "Server": "app.standalone",
    "Settings": "config.settings",
    "SyncEmitter": "cluster.emitter.emitter",
    "create_app": "app.composition",
    "event": "sio.dispatch.event_table",
    "server_event": "sio.dispatch.event_table",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
