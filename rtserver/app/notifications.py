"""Composition of notifications: inboxes, their namespace, delivery to users, webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial

from aiohttp import web

from rtserver.auth.keys import webhook_key
from rtserver.cluster.presence import Presence
from rtserver.config.settings import Settings
from rtserver.namespaces.delivery.reconciler import Reconciler
from rtserver.namespaces.notifications.namespace import Notifications
from rtserver.namespaces.notifications.notifier import Notifier
from rtserver.store.db.database import Database
from rtserver.store.notifications.delivery_receipts import DeliveryReceipts
from rtserver.store.notifications.expiry import Expiry
from rtserver.store.notifications.notification_store import Notifications as NotificationStore
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.notifications.recent import RecentNotifications
from rtserver.store.notifications.webhook_queue import WebhookQueue
from rtserver.tasks import cancelled, run_periodically
from rtserver.telemetry.metrics import Metrics
from rtserver.webhooks.dispatcher import SLOTS, Dispatcher
from rtserver.webhooks.sender import Sender


class Inboxes:
    """`namespace` is /notifications, `notifier` saves and pushes, `store` reads inboxes."""

    def __init__(self, settings: Settings, database: Database, presence: Presence, metrics: Metrics) -> None:
        webhooks = settings.webhook_url is not None
        self.store = NotificationStore(database, webhook_delay=settings.webhook_delay if webhooks else None)
        self._deliveries = DeliveryReceipts(database)
        self._expiry = Expiry(database)
        self._presence = presence
        self._timeout = settings.cluster_timeout
        self.namespace = Notifications(
            self.store, PreferenceStore(database), self._deliveries, receipt_timeout=settings.receipt_timeout
        )
        self.notifier = Notifier(self.store, self.namespace)
        recent, delivery = RecentNotifications(database), self.namespace.delivery
        self.reconciler = Reconciler(partial(delivery.run, recent), self.namespace.ask_peers, "inboxes")
        delivery.asked = self.reconciler.fault_over
        self._dispatcher: Dispatcher | None = None
        if settings.webhook_url is not None:
            keys = [webhook_key(secret.get_secret_value()) for secret in settings.webhook_secret]
            sender = Sender(settings.webhook_url.get_secret_value(), keys, connections=SLOTS)
            self._dispatcher = Dispatcher(WebhookQueue(database), sender, self._online_users, metrics)

    async def run_store(self, _: web.Application) -> AsyncIterator[None]:
        """Run with the application; starts after the database and before every user of inboxes."""
        await self._deliveries.start()
        yield
        await self._deliveries.stop()

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Run with the application; starts after the cluster, which webhooks ask for offline users."""
        sweeping = asyncio.create_task(run_periodically(self._expiry.sweep), name="sweeper")
        if self._dispatcher is not None:
            await self._dispatcher.start()
        await self.reconciler.start()
        yield
        await self.reconciler.stop()
        if self._dispatcher is not None:
            await self._dispatcher.stop()
        await cancelled(sweeping)

    async def _online_users(self, users: Sequence[str]) -> Collection[str] | None:
        """Return the users with a device in the chat or at their inbox; None while other instances are unreachable."""
        present = await self._presence.online(users)
        if present.partial:
            return None
        return present | await self.namespace.connected_users(users, self._timeout)
