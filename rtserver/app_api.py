"""The part of the composition that is the HTTP API: who carries out which of its operations."""

from __future__ import annotations

from collections.abc import Iterable

from rtserver.app_chat import ChatRooms
from rtserver.app_doors import Doors
from rtserver.app_notifications import Inboxes
from rtserver.auth.tokens import TokenVerifier
from rtserver.cluster.presence import Presence
from rtserver.emitting import Emitting
from rtserver.http.api import EmitApi, MessageApi, NotifyApi
from rtserver.http.batch_api import BatchApi
from rtserver.http.credentials import Credentials
from rtserver.http.notifications_api import NotificationsApi
from rtserver.http.reading_api import RoomReadingApi, UserReadingApi
from rtserver.http.room_presence_api import RoomPresenceApi
from rtserver.http.rooms_api import RoomsApi
from rtserver.http.scheduled_api import ScheduledApi
from rtserver.http.serving import Api
from rtserver.http.users_api import UsersApi
from rtserver.settings import Settings
from rtserver.sio.server import Server
from rtserver.store.database import Database
from rtserver.store.messages import Messages
from rtserver.store.rooms import Rooms


class ApiParts:
    """What the operations need."""

    def __init__(
        self,
        *,
        server: Server,
        database: Database,
        messages: Messages,
        presence: Presence,
        doors: Doors,
        inboxes: Inboxes,
        rooms: ChatRooms,
    ) -> None:
        self._server, self._database, self._messages = server, database, messages
        self._presence, self._doors, self._inboxes = presence, doors, inboxes
        self._rooms = rooms

    def parts(self) -> Iterable[object]:
        intake = self._doors.intake
        yield EmitApi(intake, Emitting(self._server))
        yield NotifyApi(intake)
        yield MessageApi(intake)
        yield BatchApi(intake)
        yield ScheduledApi(self._doors.schedule)
        yield RoomReadingApi(self._messages)
        yield RoomsApi(self._rooms.namespace.keeper)
        yield RoomPresenceApi(self._server.occupancy)
        yield UsersApi(self._rooms.forgetting)
        yield from self._rooms.upload_parts()
        yield NotificationsApi(self._inboxes.store, self._inboxes.notifier)
        yield UserReadingApi(self._presence, Rooms(self._database), self._inboxes.store)


def compose_api(settings: Settings, verifier: TokenVerifier, version: str, parts: ApiParts) -> Api:
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    return Api(
        *parts.parts(), credentials=Credentials([key] if key else [], verifier), version=version,
        rate=settings.rate_api, user_rate=settings.rate_events,
    )  # fmt: skip
