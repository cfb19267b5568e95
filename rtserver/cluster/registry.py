"""Which instances are in the cluster, by the leases that presence renews, and what they tell of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, convert

from rtserver.cluster.bus import RedisBus
from rtserver.cluster.partial import PartialList
from rtserver.cluster.presence.names import text
from rtserver.cluster.presence.scripts import INSTANCES, KEY
from rtserver.errors import Unavailable
from rtserver.protocol import json


class Instance(Struct, frozen=True, kw_only=True):
    """`connections` are clients by namespace; `started` is a time in ISO 8601."""

    id: str
    version: str
    started: str
    host: str
    pid: int
    draining: bool
    connections: dict[str, int]


class Registry(Protocol):
    async def instances(self) -> PartialList[Instance]:
        """By id. While Redis is down this one alone, and `partial`."""
        ...


class LocalRegistry:
    """The registry of a server that is alone."""

    def __init__(self, describe: Callable[[], Instance]) -> None:
        self._describe = describe

    async def instances(self) -> PartialList[Instance]:
        return PartialList([self._describe()])


class RedisRegistry:
    def __init__(self, bus: RedisBus, describe: Callable[[], Instance], key: str = KEY) -> None:
        self._bus, self._describe, self._key = bus, describe, key

    async def instances(self) -> PartialList[Instance]:
        """What is no record is counted and left out; our own is always there."""
        own = self._describe()
        try:
            told = await self._bus.ask("EVAL", INSTANCES, 1, self._key, timeout=0.25)
        except Unavailable:
            return PartialList([own], partial=True)
        found = {own.id: own}
        for name, record in told:
            instance = self._read(text(name), record)
            if instance is not None:
                found.setdefault(instance.id, instance)
        return PartialList(sorted(found.values(), key=lambda instance: instance.id))

    def _read(self, name: str, record: bytes) -> Instance | None:
        if not record:  # it has just come, or has just gone
            return None
        try:
            instance = convert(json.loads(record), Instance)
        except ValueError:
            instance = None
        if instance is None or instance.id != name:
            self._bus.metrics.rejected("presence")
            return None
        return instance
