"""A chat in the test's own process, on SQLite."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtserver.cluster.presence.memory_presence import MemoryPresence
from rtserver.engine.runner import Runner
from rtserver.namespaces.chat import Chat
from rtserver.sio.server import Server
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.search import Search
from rtserver.store.rooms.member_admin import MemberAdmin
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_settings import RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from tests.sio.conftest import Tokens
from tests.support.js_client import JsClient

Join = Callable[[str], Awaitable[JsClient]]


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    database = Database(f"sqlite:///{tmp_path}/chat.db")
    await database.connect()
    await database.migrate()
    messages, cursors = Messages(database), ReadCursors(database)
    await messages.start()
    await cursors.start()
    yield Chat(
        messages, Rooms(database), cursors, MemoryPresence(), Search(database),
        RoomSettingsStore(database), MemberAdmin(database),
    )  # fmt: skip
    await cursors.stop()
    await messages.stop()
    await database.close()


@pytest.fixture
def server_arguments() -> dict[str, Any]:
    """Arguments of the server of `url`; tests parametrise it."""
    return {}


@pytest.fixture
async def url(chat: Chat, server_arguments: dict[str, Any]) -> AsyncIterator[str]:
    server = Server(authenticator=Tokens(), event_rate=None, **server_arguments)
    server.add_namespace(chat)
    app = web.Application()
    server.attach(app)
    runner = Runner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def person(url: str, js: Callable[..., Awaitable[JsClient]]) -> Join:
    async def connect(user: str) -> JsClient:
        return await js(url, "/chat", token=user, transports=["websocket"])

    return connect
