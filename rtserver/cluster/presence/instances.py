"""Instance registry: which instances are in the cluster, by the leases that presence renews, and what each reports."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog
from msgspec import Struct, convert

from rtserver.cluster.partial_results import PartialList
from rtserver.cluster.presence.scripts import INSTANCES, KEY
from rtserver.cluster.presence.user_ids import decode_user
from rtserver.cluster.redis.bus import RedisBus
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


class InstanceRegistry(Protocol):
    async def instances(self) -> PartialList[Instance]:
        """By id. While Redis is down this one alone, and `partial`."""
        ...


class LocalInstanceRegistry:
    """The registry of a server that is alone."""

    def __init__(self, describe: Callable[[], Instance]) -> None:
        self._describe = describe

    async def instances(self) -> PartialList[Instance]:
        return PartialList([self._describe()])


class RedisInstanceRegistry:
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
            instance = self._read(decode_user(name), record)
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


log = structlog.get_logger("rtserver.presence")


class InstanceRecord:
    """`describe` gives it; a mark of our own tells it from that of a second server by the same name."""

    def __init__(self, instance: str, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._instance, self._describe = instance, describe
        self._mark = secrets.token_hex(8)
        self._written = self._warned = False

    def write(self) -> bytes:
        return json.dumps({**self._describe(), "id": self._instance, "mark": self._mark})

    def check(self, before: bytes) -> None:
        """`before` stood there until we wrote. At first it may be that of the process before us."""
        stranger = self._written and before and self._mark.encode() not in before
        if stranger and not self._warned:
            self._warned = True
            log.error("instance_id_taken", instance=self._instance, hint="Two servers have the same RTSERVER_INSTANCE")
        self._written = True
