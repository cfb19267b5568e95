"""rtserver/app/chat.py: the chat as it is composed in the product."""

import asyncio
from pathlib import Path

import pytest

from rtserver.app.chat import ChatParts
from rtserver.app.notifications import Inboxes
from rtserver.cluster.presence.memory_presence import MemoryPresence
from rtserver.config.settings import Settings
from rtserver.sio.server import Server
from rtserver.stall import Stalls
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.rooms.room_store import Rooms
from rtserver.telemetry.metrics import Metrics
from tests.sio.conftest import Tokens


async def test_mentions_of_concurrent_messages_take_few_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, presence = Settings(), MemoryPresence()
    db = Database(f"sqlite:///{tmp_path}/chat.db")
    await db.connect()
    await db.migrate()
    messages = Messages(db)
    await messages.start()
    inboxes = Inboxes(settings, db, presence, Metrics())
    chat = ChatParts(settings, db, messages, presence, inboxes.notifier, Metrics(), Stalls())
    server = Server(authenticator=Tokens(), event_rate=None)
    server.add_namespace(chat.namespace)
    server.add_namespace(inboxes.namespace)
    running = chat.run(None)  # type: ignore[arg-type]
    await anext(running)
    users = [f"u{number}" for number in range(40)]
    await asyncio.gather(*(Rooms(db).join("general", Member(user, user)) for user in users))

    before = db.commits
    drafts = [Draft("general", Author("bot", "Bot"), f"@{user}", nonce=user) for user in users]
    posted = await chat.namespace.poster.post(drafts)
    assert db.commits - before <= 5
    for user, (message, _) in zip(users, posted, strict=True):
        [told], _ = await inboxes.store.list(user)
        assert (told.type, told.data["id"]) == ("mention", message.id)

    await anext(running, None)
    await messages.stop()
    await db.close()
