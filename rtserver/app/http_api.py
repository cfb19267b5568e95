"""Composition of the HTTP API: the objects behind its operations."""

from __future__ import annotations

from collections.abc import Container, Iterable

from rtserver.app.chat import ChatParts
from rtserver.app.emit_service import EmitService
from rtserver.app.ingest import Ingest
from rtserver.app.notifications import Inboxes
from rtserver.auth.verifier import TokenVerifier
from rtserver.cluster.presence import Presence
from rtserver.config.settings import Settings
from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.cors import covers_api
from rtserver.http.endpoints.batch import BatchApi
from rtserver.http.endpoints.notifications import NotificationsApi
from rtserver.http.endpoints.publish import EmitApi, MessageApi, NotifyApi
from rtserver.http.endpoints.queries import HistoryApi, UserQueriesApi
from rtserver.http.endpoints.room_presence import RoomPresenceApi
from rtserver.http.endpoints.rooms import RoomsApi
from rtserver.http.endpoints.scheduled import ScheduledApi
from rtserver.http.endpoints.users import UsersApi
from rtserver.http.pages.client_modules import covers_client
from rtserver.sio.server import Server
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.rooms.room_store import Rooms


class ApiParts:
    """The parts of the application that the operations use."""

    def __init__(
        self,
        *,
        server: Server,
        database: Database,
        messages: Messages,
        presence: Presence,
        ingest: Ingest,
        inboxes: Inboxes,
        chat: ChatParts,
    ) -> None:
        self._server, self._database, self._messages = server, database, messages
        self._presence, self._ingest, self._inboxes = presence, ingest, inboxes
        self._chat = chat

    def parts(self) -> Iterable[object]:
        """Return the objects that have operations."""
        intake = self._ingest.intake
        yield EmitApi(intake, EmitService(self._server))
        yield NotifyApi(intake)
        yield MessageApi(intake)
        yield BatchApi(intake)
        yield ScheduledApi(self._ingest.schedule)
        yield HistoryApi(self._messages)
        yield RoomsApi(self._chat.namespace.room_admin)
        yield RoomPresenceApi(self._server.room_presence)
        yield UsersApi(self._chat.user_erasure)
        yield from self._chat.upload_parts()
        yield NotificationsApi(self._inboxes.store, self._inboxes.notifier)
        yield UserQueriesApi(self._presence, Rooms(self._database), self._inboxes.store)


def compose_api(settings: Settings, verifier: TokenVerifier, version: str, parts: ApiParts) -> ApiRouter:
    """Make the routes of the API from the operations of `parts`."""
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    return ApiRouter(
        *parts.parts(), credentials=Credentials([key] if key else [], verifier), version=version,
        rate=settings.rate_api, user_rate=settings.rate_events,
    )  # fmt: skip


def allows_cors(path: str, bundle: Container[str]) -> bool:
    """Whether pages of other origins may read this path: the API, the `bundle` paths and the client modules."""
    return covers_api(path) or path in bundle or covers_client(path)
