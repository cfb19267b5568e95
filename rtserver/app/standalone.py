"""`rtserver.Server`: the Socket.IO server for your own aiohttp application, compatible with `socketio.AsyncServer`.

sio = rtserver.Server(cors_allowed_origins="*")
app = aiohttp.web.Application()
sio.attach(app)
"""

from __future__ import annotations

from typing import Any

import socketio

from rtserver.cluster.adapter.cluster_adapter import RedisAdapter
from rtserver.cluster.adapter.python_socketio import CHANNEL, PythonSocketIOInput
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.names import DEFAULT_PREFIX
from rtserver.ids import new_instance_id
from rtserver.sio import server
from rtserver.sio.broadcast.room_presence import RoomPresence
from rtserver.telemetry.metrics import Metrics


class Server(server.Server):
    """Takes the arguments of `rtserver.sio.server.Server`.

    `client_manager=socketio.AsyncRedisManager(url)` joins servers through that Redis, by our own adapter; as with
    python-socketio, servers with another `channel` are strangers to these. Room presence then covers each server alone:
    leases belong to `create_app`.
    """

    def __init__(self, client_manager: Any = None, *, metrics: Metrics | None = None, **kwargs: Any) -> None:
        metrics = metrics or Metrics()
        self._bus: RedisBus | None = None
        if type(client_manager) is socketio.AsyncRedisManager:
            _check_manager(client_manager)
            self._bus = RedisBus(client_manager.redis_url, metrics)
            channel = client_manager.channel
            adapter = RedisAdapter(self._bus, key=DEFAULT_PREFIX if channel == CHANNEL else channel)
            PythonSocketIOInput(adapter).attach(self._bus.subscribe, channel)
            kwargs["adapter"], client_manager = adapter, None
            instance = kwargs["instance_id"] = kwargs.get("instance_id") or new_instance_id()
            kwargs.setdefault("room_presence", RoomPresence(instance, alone=False))
        super().__init__(client_manager=client_manager, metrics=metrics, **kwargs)

    async def start(self) -> None:
        """Connect to Redis, if there is one, and start the server."""
        if self._bus is not None:
            await self._bus.start()
        await super().start()

    async def stop(self) -> None:
        """Close every connection, then the one to Redis."""
        await super().stop()
        if self._bus is not None:
            await self._bus.stop()


def _check_manager(manager: Any) -> None:
    """Raise `ValueError` for an `AsyncRedisManager` with arguments that would have no effect here."""
    default_codec = socketio.AsyncManager().json
    if manager.write_only or manager.redis_options or manager.logger or manager.json is not default_codec:
        raise ValueError(
            "of the arguments of AsyncRedisManager, url and channel are supported: write options of the connection "
            "into the URL, and leave write_only, logger and json out"
        )
