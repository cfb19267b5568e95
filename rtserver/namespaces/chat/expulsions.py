"""Expulsions: users who are being erased, on this server.

1. When an erasure begins, the user's connections are closed, events that wait are dropped, and handlers that run are
   waited for. So nothing is written for the user behind the erasure's back.
2. Until the erasure ends, the user is refused, with `unavailable`. An erasure whose server dies ends after `SECONDS`.
3. Two servers may erase the same user: each has a mark of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rtserver.errors import Refused
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace

USER_EXPELLED = "forgetting"
"""The event between servers when an erasure begins; arguments: the user and the mark of the erasure."""
USER_ERASED = "forgotten"
"""The same when it ends."""
SECONDS = 60.0
PATIENCE = 3.0
"""Seconds to wait for running handlers."""


class Expulsions:
    """The users that are being erased, with the marks of their erasures.

    `hooks` are called with each such user, before the connections are closed.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._ends: dict[tuple[str, str], float] = {}
        self.hooks: list[Callable[[str], None]] = []

    async def begin(self, user: str, mark: str) -> bool:
        """Expel a user from this server; whether nothing of the user runs here any more."""
        now = asyncio.get_running_loop().time()
        self._ends = {known: end for known, end in self._ends.items() if end > now}
        self._ends[user, mark] = now + SECONDS
        for hook in self.hooks:
            hook(user)
        return await self._namespace.server.expel(user, PATIENCE)

    def end(self, user: str, mark: str) -> None:
        """The user may come back, as a new one."""
        self._ends.pop((user, mark), None)

    def check(self, client: Client) -> None:
        """Middleware of connects: raise `Refused` for a user who is being erased."""
        if self._ends and client.identity is not None:
            now = asyncio.get_running_loop().time()
            user = client.identity.user
            if any(known == user and end > now for (known, _), end in self._ends.items()):
                raise Refused("This user is being erased", code="unavailable")
