"""OpenAPI document as it is served: made at the first request, since few ask for it, and making it takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from rtserver.http.api.openapi import document
from rtserver.http.api.operations import Operation
from rtserver.protocol import json


class RenderedDocument:
    """The document of these operations, as JSON."""

    def __init__(self, operations: Sequence[Operation], version: str) -> None:
        self._make = partial(_rendered, operations, version)
        self._made: asyncio.Future[bytes] | None = None

    async def read(self) -> bytes:
        """Return it. It is made once, in a thread: the event loop goes on meanwhile."""
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(self._make))
        return await asyncio.shield(self._made)


def _rendered(operations: Sequence[Operation], version: str) -> bytes:
    return json.dumps(document(operations, version))
