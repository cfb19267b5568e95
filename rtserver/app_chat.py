"""The part of the composition that is the chat: its tables, its namespace, and what keeps its rooms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from rtserver.cluster.presence import Presence
from rtserver.namespaces.chat.namespace import Chat
from rtserver.namespaces.notifications.notifier import Notifier
from rtserver.namespaces.notifications.sweeper import sweep_forever
from rtserver.settings import Settings
from rtserver.store.database import Database
from rtserver.store.memberships import Memberships
from rtserver.store.messages import Messages
from rtserver.store.receipts import Receipts
from rtserver.store.retention import Retention
from rtserver.store.room_settings import RoomSettingsStore
from rtserver.store.rooms import Rooms
from rtserver.store.search import Search


class ChatRooms:
    """`namespace` is /chat; its `poster` and `keeper` do for others what its clients may do."""

    def __init__(
        self, settings: Settings, database: Database, messages: Messages, presence: Presence, notifier: Notifier
    ) -> None:
        self._retention = Retention(database)
        self._sweep_seconds = settings.chat_sweep_seconds
        self.namespace = Chat(
            messages,
            Rooms(database),
            Receipts(database),
            presence,
            Search(database),
            RoomSettingsStore(database),
            Memberships(database),
            max_text=settings.chat_max_text,
            room_policy=settings.chat_room_policy,
            notifier=notifier,
        )

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """After the database."""
        sweeping = asyncio.create_task(sweep_forever(self._retention.sweep, self._sweep_seconds), name="retention")
        yield
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
