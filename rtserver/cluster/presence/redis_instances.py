"""Instance registry in Redis: the instances whose leases last, with the record that each has left there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from msgspec import convert

from rtserver.cluster.partial_results import PartialList
from rtserver.cluster.presence.instances import Instance
from rtserver.cluster.presence.queries import QUERY_TIMEOUT
from rtserver.cluster.presence.scripts import INSTANCES, KEY
from rtserver.cluster.presence.user_ids import decode_user
from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.protocol import json

log = structlog.get_logger("rtserver.presence")


class RedisInstanceRegistry:
    def __init__(self, bus: RedisBus, describe: Callable[[], Instance], key: str = KEY) -> None:
        self._bus, self._describe, self._key = bus, describe, key

    async def instances(self) -> PartialList[Instance]:
        """Return the instances by id. An invalid record is counted and left out; the own one is always there."""
        own = self._describe()
        try:
            rows = await self._bus.ask("EVAL", INSTANCES, 1, self._key, timeout=QUERY_TIMEOUT)
        except Unavailable:
            return PartialList([own], partial=True)
        found = {own.id: own}
        for name, record in rows:
            instance = self._read(decode_user(name), record)
            if instance is not None:
                found.setdefault(instance.id, instance)
        return PartialList(sorted(found.values(), key=lambda instance: instance.id))

    def _read(self, name: str, record: bytes) -> Instance | None:
        if not record:  # it has no record yet, or no longer
            return None
        try:
            instance = convert(json.loads(record), Instance)
        except ValueError:
            instance = None
        if instance is None or instance.id != name:
            self._bus.metrics.rejected("presence")
            return None
        return instance


class InstanceRecord:
    """The record of this instance. A random mark in it detects a second server with the same instance id."""

    def __init__(self, instance: str, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._instance, self._describe = instance, describe
        self._mark = secrets.token_hex(8)
        self._written = self._warned = False

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return json.dumps({**self._describe(), "id": self._instance, "mark": self._mark})

    def check(self, before: bytes) -> None:
        """Log an error once if `before`, the record that ours has replaced, is of another server.

        The first time it may be that of the process that ran before this one.
        """
        foreign = self._written and before and self._mark.encode() not in before
        if foreign and not self._warned:
            self._warned = True
            log.error("instance_id_taken", instance=self._instance, hint="Two servers have the same RTSERVER_INSTANCE")
        self._written = True
