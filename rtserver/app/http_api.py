"""The part of the composition that is the HTTP API: who carries out which of its operations."""

from __future__ import annotations

from collections.abc import Iterable

from rtserver.app.chat import ChatParts
from rtserver.app.emit_service import EmitService
from rtserver.app.ingest import Ingest
from rtserver.app.notifications import Inboxes
from rtserver.auth.verifier import TokenVerifier
from rtserver.cluster.presence import Presence
from rtserver.config.settings import Settings
from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.endpoints.batch import BatchApi
from rtserver.http.endpoints.notifications import NotificationsApi
from rtserver.http.endpoints.publish import EmitApi, MessageApi, NotifyApi
from rtserver.http.endpoints.queries import HistoryApi, UserQueriesApi
from rtserver.http.endpoints.room_presence import RoomPresenceApi
from rtserver.http.endpoints.rooms import RoomsApi
from rtserver.http.endpoints.scheduled import ScheduledApi
from rtserver.http.endpoints.users import UsersApi
from rtserver.sio.server import Server
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.rooms.room_store import Rooms


class ApiParts:
    """What the operations need."""

    def __init__(
        self,
        *,
        server: Server,
        database: Database,
        messages: Messages,
        presence: Presence,
        doors: Ingest,
        inboxes: Inboxes,
        rooms: ChatParts,
    ) -> None:
        self._server, self._database, self._messages = server, database, messages
        self._presence, self._doors, self._inboxes = presence, doors, inboxes
        self._rooms = rooms

    def parts(self) -> Iterable[object]:
        intake = self._doors.intake
        yield EmitApi(intake, EmitService(self._server))
        yield NotifyApi(intake)
        yield MessageApi(intake)
        yield BatchApi(intake)
        yield ScheduledApi(self._doors.schedule)
        yield HistoryApi(self._messages)
        yield RoomsApi(self._rooms.namespace.keeper)
        yield RoomPresenceApi(self._server.room_presence)
        yield UsersApi(self._rooms.forgetting)
        yield from self._rooms.upload_parts()
        yield NotificationsApi(self._inboxes.store, self._inboxes.notifier)
        yield UserQueriesApi(self._presence, Rooms(self._database), self._inboxes.store)


def compose_api(settings: Settings, verifier: TokenVerifier, version: str, parts: ApiParts) -> ApiRouter:
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    return ApiRouter(
        *parts.parts(), credentials=Credentials([key] if key else [], verifier), version=version,
        rate=settings.rate_api, user_rate=settings.rate_events,
    )  # fmt: skip
