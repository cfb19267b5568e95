"""kill -9 of the whole server, a hundred times at random moments, with clients that send all the while."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import jwt
import pytest

from rtserver.store.database import Database
from rtserver.store.messages import Messages
from rtserver.store.records import Message
from tests.support.forked_server import ForkedServer
from tests.support.ports import free_port
from tests.support.rtserver_process import SECRET, environment, sqlite_url

KILLS = 100
SENDERS = 4
LIVES = 0.06
"""The longest that a server lives after its first ack, in seconds."""
ROOM = "general"
PADDING = "x" * 300


class Sender:
    """One device that sends without end, and again, with the same nonce, whatever has no ack when it comes back."""

    def __init__(self, name: str, url: str, acked: Callable[[], None]) -> None:
        self.name = name
        self.sent = 0
        self.acked: dict[str, tuple[str, int]] = {}
        self._url = url
        self._token = jwt.encode({"sub": name, "exp": 4_000_000_000}, SECRET)
        self._tell = acked

    async def run(self, http: aiohttp.ClientSession) -> None:
        while True:
            try:
                await self._live(http)
            except (aiohttp.ClientError, ConnectionError, EOFError):
                await asyncio.sleep(0.005)

    async def _live(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self._url}/socket.io/?EIO=4&transport=websocket") as socket:
            await _packet(socket, "0")
            await socket.send_str("40/chat," + json.dumps({"token": self._token}))
            await _packet(socket, "40/chat,")
            assert (await _call(socket, "join", {"room": ROOM}))["ok"]
            while True:
                nonce = str(self.sent)
                text = f"{self.name} {nonce} {PADDING}"
                answer = await _call(socket, "message", {"room": ROOM, "text": text, "nonce": nonce})
                assert answer["ok"], answer
                self.acked[nonce] = (answer["message"]["id"], answer["message"]["seq"])
                self.sent += 1
                self._tell()


async def _call(socket: aiohttp.ClientWebSocketResponse, event: str, payload: dict[str, str]) -> dict:
    await socket.send_str("42/chat,7" + json.dumps([event, payload]))
    return json.loads(await _packet(socket, "43/chat,7"))[0]


async def _packet(socket: aiohttp.ClientWebSocketResponse, start: str) -> str:
    """The rest of the next packet that starts so; those of others in the room are passed over."""
    while True:
        message = await socket.receive(timeout=30)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise EOFError
        if message.data == "2":
            await socket.send_str("3")
        if message.data.startswith(start):
            return message.data.removeprefix(start)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "killed.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(database: str) -> AsyncIterator[Messages]:
    db = Database(database)
    await db.connect()
    await db.migrate()
    yield Messages(db)
    await db.close()


async def test_a_hundred_kills_lose_no_acked_message(store: Messages, database: str, tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path, DATABASE_URL=database, PORT=port, RATE_EVENTS="100000/s", LOG_LEVEL="error")
    server = ForkedServer(env, tmp_path)
    await server.open()
    alive = asyncio.Event()
    senders = [Sender(f"user{number}", f"http://127.0.0.1:{port}", alive.set) for number in range(SENDERS)]
    moment = random.Random(9)
    try:
        async with aiohttp.ClientSession() as http:
            sending = [asyncio.create_task(sender.run(http)) for sender in senders]
            try:
                for _ in range(KILLS):
                    alive.clear()
                    await server.start()
                    await asyncio.wait_for(alive.wait(), 30)
                    await asyncio.sleep(moment.uniform(0, LIVES))
                    server.kill()
            finally:
                for task in sending:
                    task.cancel()
                ends = await asyncio.gather(*sending, return_exceptions=True)
    finally:
        await server.close()
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    saved = [message async for message in _everything(store)]
    assert [message.seq for message in saved] == list(range(1, len(saved) + 1))
    kept = {(message.from_.id, message.nonce): message for message in saved}
    assert len(kept) == len(saved), Counter((m.from_.id, m.nonce) for m in saved).most_common(3)
    for message in saved:
        assert message.text == f"{message.from_.id} {message.nonce} {PADDING}"
    for sender in senders:
        assert len(sender.acked) > KILLS / SENDERS
        for nonce, told in sender.acked.items():
            found = kept[sender.name, nonce]
            assert (found.id, found.seq) == told


async def _everything(store: Messages) -> AsyncIterator[Message]:
    after, more = 0, True
    while more:
        page, more = await store.history(ROOM, after=after, limit=1000)
        for message in page:
            yield message
        after = page[-1].seq
