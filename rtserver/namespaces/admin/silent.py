"""Says whose answer is not in an answer of the cluster.

An instance is missing when it is in the registry, did not answer, and had clients in one of the namespaces at its last
heartbeat, or was waited for in vain. A server of Node has no name here: without its answer `missing` may be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtserver.cluster.partial import PartialList, PartialSet
from rtserver.cluster.registry import Registry


class Silent:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def in_(self, answers: Sequence[Any], namespaces: Sequence[str]) -> dict[str, Any]:
        """`{partial: true, missing: [instance, …]}`, or nothing when everybody has answered."""
        instances = await self._registry.instances()
        partial, missing = instances.partial, set[str]()
        for answer, namespace in zip(answers, namespaces, strict=True):
            if isinstance(answer, PartialList | PartialSet):
                partial = partial or answer.partial
                missing.update(
                    instance.id
                    for instance in instances
                    if instance.id not in answer.heard and (answer.partial or instance.connections.get(namespace))
                )
        return {"partial": True, "missing": sorted(missing)} if partial or missing else {}
