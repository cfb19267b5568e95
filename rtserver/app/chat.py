"""The part of the composition that is the chat: its tables, its namespace, and what keeps its rooms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress

import structlog
from aiohttp import web

from rtserver.cluster.presence import Presence
from rtserver.config.settings import Settings
from rtserver.errors import EventError
from rtserver.http.endpoints.uploads import UploadedFiles, UploadsApi
from rtserver.ingest.batching import NotificationBatcher
from rtserver.namespaces.chat import settings_cache
from rtserver.namespaces.chat.erasure import UserErasure
from rtserver.namespaces.chat.namespace import Chat
from rtserver.namespaces.notifications.notifier import Notifier
from rtserver.store.db.database import Database
from rtserver.store.erasure.erase_user import EraseUser
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.retention import Retention
from rtserver.store.messages.search import Search
from rtserver.store.notifications.records import NotificationDraft
from rtserver.store.rooms.member_admin import MemberAdmin
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_settings import RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.uploads.file_storage import FolderStorage
from rtserver.store.uploads.upload_store import ORPHANED_SECONDS, Uploads
from rtserver.tasks import run_periodically

log = structlog.get_logger("rtserver.chat")


class MentionNotifier:
    """Notifies whoever is mentioned; of messages that come together all at once. Between `start` and `stop`."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        grouped = NotificationBatcher(notifier)
        self.start, self.stop = grouped.start, grouped.stop
        self._grouped = grouped

    async def notify(self, drafts: list[NotificationDraft]) -> None:
        await self._grouped.notify(drafts)

    async def announce_deleted(self, removed: Sequence[tuple[str, str]]) -> None:
        await self._notifier.announce_deleted(removed)


class ChatParts:
    """`namespace` is /chat: its `poster` and `room_admin` serve backends and admins. `user_erasure` erases a user."""

    def __init__(
        self, settings: Settings, database: Database, messages: Messages, presence: Presence, notifier: Notifier
    ) -> None:
        self._retention = Retention(database)
        self._receipts = ReadCursors(database)
        self._mentioning = MentionNotifier(notifier)
        self._redis_came = asyncio.Event()
        self._sweep_seconds = settings.chat_sweep_seconds
        folder = FolderStorage(settings.upload_folder or settings.data_dir / "uploads")
        self._uploads = Uploads(database, folder, quota=settings.upload_quota)
        self._upload_limit, self._upload_types = settings.upload_limit, settings.upload_types
        self.namespace = Chat(
            messages,
            Rooms(database),
            self._receipts,
            presence,
            Search(database),
            RoomSettingsStore(database),
            MemberAdmin(database),
            max_text=settings.chat_max_text,
            room_policy=settings.chat_room_policy,
            notifier=self._mentioning,
        )
        chat = self.namespace
        self.user_erasure = UserErasure(
            chat, EraseUser(database), self._uploads, chat.poster.direct_rooms.evict, chat.room_admin.watchers
        )

    def upload_parts(self) -> Iterable[UploadsApi]:
        """The operations of uploads; none where they are off."""
        if self._upload_limit:
            yield UploadsApi(self._uploads, limit=self._upload_limit, types=self._upload_types)

    def upload_pages(self) -> Iterable[UploadedFiles]:
        if self._upload_limit:
            yield UploadedFiles(self._uploads)

    def redis_changed(self, ready: bool) -> None:
        """Called when Redis comes and when it goes."""
        if ready:
            self._redis_came.set()

    async def _recheck(self) -> None:
        """Twice: another server may come back to Redis later, and take people out of rooms until then."""
        while True:
            await self._redis_came.wait()
            self._redis_came.clear()
            for pause in (0, settings_cache.SECONDS):
                await asyncio.sleep(pause)
                try:
                    await self.namespace.room_admin.recheck()
                except EventError as error:
                    log.warning("rooms_not_rechecked", error=error.message)
                    self._redis_came.set()

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """After the database."""
        sweeps = [run_periodically(self._retention.sweep, self._sweep_seconds)]
        if self._upload_limit:
            sweeps.append(run_periodically(self._uploads.sweep, ORPHANED_SECONDS))
        tasks = [asyncio.create_task(task) for task in (*sweeps, self._recheck())]
        await self._receipts.start()
        await self._mentioning.start()
        yield
        await self._mentioning.stop()
        await self._receipts.stop()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
