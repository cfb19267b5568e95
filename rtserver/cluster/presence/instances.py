"""Instance registry: which instances are in the cluster, by the leases that presence renews, and what each reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from rtserver.cluster.partial_results import PartialList


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
        """Return the instances by id. While Redis is down, this one alone, and `partial`."""
        ...


class LocalInstanceRegistry:
    """The registry of a single server."""

    def __init__(self, describe: Callable[[], Instance]) -> None:
        self._describe = describe

    async def instances(self) -> PartialList[Instance]:
        return PartialList([self._describe()])
