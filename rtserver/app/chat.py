"""Composition of the chat: its namespace, its tables, uploads, erasure of users, and periodic clean-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import structlog
from aiohttp import web

from rtserver.cluster.presence import Presence
from rtserver.cluster.presence.instances import InstanceRegistry
from rtserver.config.settings import Settings
from rtserver.errors import EventError
from rtserver.http.endpoints.uploads import UploadedFiles, UploadRulesApi, UploadsApi
from rtserver.ingest.batching import NotificationBatcher
from rtserver.namespaces.chat import settings_cache
from rtserver.namespaces.chat.erasure import UserErasure
from rtserver.namespaces.chat.namespace import Chat
from rtserver.namespaces.delivery.reconciler import Reconciler
from rtserver.namespaces.delivery.room_catch_up import RoomCatchUp
from rtserver.namespaces.notifications.notifier import Notifier
from rtserver.stall import Stalls
from rtserver.store.db.database import Database
from rtserver.store.erasure.erase_user import EraseUser
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.retention import Retention
from rtserver.store.messages.search import Search
from rtserver.store.notifications.records import NotificationDraft
from rtserver.store.rooms.abandoned import AbandonedRooms
from rtserver.store.rooms.member_admin import MemberAdmin
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_heads import RoomHeads
from rtserver.store.rooms.room_settings import RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.uploads.file_storage import FolderStorage
from rtserver.store.uploads.upload_store import ORPHANED_SECONDS, Quota, Uploads
from rtserver.tasks import cancelled, run_periodically
from rtserver.telemetry.metrics import Metrics
from rtserver.telemetry.trouble_log import TroubleLog

log = structlog.get_logger("rtserver.chat")


class MentionNotifier:
    """Notifies mentioned users, in one batch for messages that arrive together. Works between `start` and `stop`."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._batcher = NotificationBatcher(notifier)

    async def start(self) -> None:
        """Begin to accept notifications."""
        await self._batcher.start()

    async def stop(self) -> None:
        """Send what is left."""
        await self._batcher.stop()

    async def notify(self, drafts: list[NotificationDraft]) -> None:
        """Save and push a notification for each draft."""
        await self._batcher.notify(drafts)

    async def announce_deleted(self, removed: Sequence[tuple[str, str]]) -> None:
        """Report notifications that no longer exist to the devices of their users."""
        await self._notifier.announce_deleted(removed)


class ChatParts:
    """`namespace` is /chat, whose `poster` and `room_admin` serve backends too; `user_erasure` erases a user.

    `registry` None: there is no other server.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        messages: Messages,
        presence: Presence,
        notifier: Notifier,
        metrics: Metrics,
        stalls: Stalls,
        registry: InstanceRegistry | None = None,
    ) -> None:
        self._read_cursors = ReadCursors(database)
        self._mentions = MentionNotifier(notifier)
        self._retention = Retention(database, self._mentions.announce_deleted)
        self._abandoned_rooms = AbandonedRooms(database)
        self._redis_ready = asyncio.Event()
        self._sweep_seconds = settings.chat_sweep_seconds
        folder = FolderStorage(settings.upload_folder or settings.data_dir / "uploads")
        self._uploads = Uploads(database, folder, quota=Quota(settings.upload_quota, settings.upload_files))
        self._upload_limit, self._upload_types = settings.upload_limit, settings.upload_types
        self._upload_rate = settings.rate_uploads
        self.namespace = Chat(
            messages,
            Rooms(database),
            self._read_cursors,
            presence,
            Search(database),
            RoomSettingsStore(database),
            MemberAdmin(database),
            max_text=settings.chat_max_text,
            room_policy=settings.chat_room_policy,
            notifier=self._mentions,
            mention_rate=settings.rate_mentions,
            stalled=stalls.recent,
        )
        chat = self.namespace
        chat.expulsions.hooks.append(self._uploads.abandon)
        self.user_erasure = UserErasure(
            chat, EraseUser(database), self._uploads, chat.expulsions, registry,
            chat.poster.direct_rooms.evict, self._mentions.announce_deleted, chat.room_admin.watchers, chat.delivery,
        )  # fmt: skip
        self._catch_up = RoomCatchUp(chat.delivery, RoomHeads(database), messages, metrics.dropped)
        self.reconciler = Reconciler(self._catch_up.run, chat.delivery.ask_peers, "rooms")
        chat.delivery.asked = self.reconciler.fault_over

    def upload_parts(self) -> Iterable[UploadRulesApi | UploadsApi]:
        """Return the API operations of uploads; where uploads are off, only the one that says so."""
        yield UploadRulesApi(limit=self._upload_limit, types=self._upload_types)
        if self._upload_limit:
            yield UploadsApi(self._uploads, limit=self._upload_limit, types=self._upload_types, rate=self._upload_rate)

    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the checks of `/readyz`; none where uploads are off."""
        return {"uploads": self._uploads.check} if self._upload_limit else {}

    def upload_pages(self) -> Iterable[UploadedFiles]:
        """Return the routes of uploaded files; none where uploads are off."""
        if self._upload_limit:
            yield UploadedFiles(self._uploads)

    def redis_changed(self, ready: bool) -> None:
        """Note that Redis became available or unavailable."""
        if ready:
            self._redis_ready.set()

    async def _recheck(self) -> None:
        """Check the members of open rooms after each return of Redis.

        Twice: another server may reconnect later, and remove members from rooms until then.
        """
        trouble = TroubleLog(log, "rooms_not_rechecked", "rooms_rechecked")
        while True:
            await self._redis_ready.wait()
            self._redis_ready.clear()
            for pause in (0, settings_cache.SECONDS):
                await asyncio.sleep(pause)
                try:
                    await self.namespace.room_admin.recheck()
                except EventError as error:
                    trouble.failed(error.message)
                    self._redis_ready.set()
                else:
                    trouble.worked()

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Run with the application; starts after the database."""
        sweeps = [
            run_periodically(self._retention.sweep, self._sweep_seconds),
            run_periodically(self._abandoned_rooms.sweep, self._sweep_seconds),
        ]
        if self._upload_limit:
            sweeps.append(run_periodically(self._uploads.sweep, ORPHANED_SECONDS))
        tasks = [asyncio.create_task(task) for task in (*sweeps, self._recheck())]
        await self.reconciler.start()
        await self._read_cursors.start()
        await self._mentions.start()
        yield
        await self._mentions.stop()
        await self._read_cursors.stop()
        await self.reconciler.stop()
        await self._catch_up.stop()
        await cancelled(*tasks)
