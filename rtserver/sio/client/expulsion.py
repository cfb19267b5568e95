"""Expulsion: all clients of a user on this server are disconnected, and nothing that they asked for runs any more.

A client that has left by itself may still have events: one whose handler runs, and those that wait behind it. They are
handled all the same, unless the user is expelled. `UnfinishedClients` knows them; most clients are never in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client


class UnfinishedClients:
    """Clients that are gone while events of theirs are handled or wait."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients)

    def add(self, client: Client) -> None:
        """Keep a client until its last handler has ended; does nothing where none runs."""
        if not client.event_queue.idle:
            self._clients.add(client)
            client.event_queue.put(partial(self._clients.discard, client))


async def expel(clients: Iterable[Client], user: str, patience: float) -> bool:
    """Disconnect those of `clients` that belong to `user`, and close their connections. Events that wait are dropped.

    Waits for the handlers that run, `patience` seconds at most; returns False where one still runs.
    """
    ended: list[asyncio.Future[None]] = []
    for client in [each for each in clients if each.identity is not None and each.identity.user == user]:
        await client.disconnect(close=True)
        client.mark_gone(expelled=True)
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.event_queue.put(partial(end.set_result, None))
        ended.append(end)
    if not ended:
        return True
    _, running = await asyncio.wait(ended, timeout=patience)
    return not running
