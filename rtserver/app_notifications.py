"""The part of the composition that is the inboxes: what keeps them, the namespace, and the way to users for others."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from rtserver.namespaces.notifications.namespace import Notifications
from rtserver.namespaces.notifications.notifier import Notifier
from rtserver.settings import Settings
from rtserver.store.database import Database
from rtserver.store.deliveries import Deliveries
from rtserver.store.notifications import Notifications as NotificationStore
from rtserver.store.preferences import PreferenceStore


class Inboxes:
    """`namespace` is /notifications, `notifier` saves and pushes, `store` answers what is in an inbox."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.store = NotificationStore(database)
        self._deliveries = Deliveries(database)
        self.namespace = Notifications(
            self.store, PreferenceStore(database), self._deliveries, receipt_timeout=settings.receipt_timeout
        )
        self.notifier = Notifier(self.store, self.namespace)

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """After the database; before the clients."""
        await self._deliveries.start()
        yield
        await self._deliveries.stop()
