"""Repeated kill -9 of the whole server at random moments, with clients and backends that send all the time."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiohttp
import jwt
import pytest
import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Message
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.schema.ingest import requests
from tests.support.eventually import eventually
from tests.support.ports import accepts_connections, free_port
from tests.support.preloaded import PreloadedInterpreter
from tests.support.process import Process, Processes
from tests.support.rtserver_process import API_KEY, SECRET, ForkedProcess, environment, sqlite_url

KILLS = 50
"""For each of two halves."""
NOTIFY_KILLS = 15
SENDERS = 4
LIVES = 0.06
"""The longest life of a server after its first ack, in seconds."""
ROOM = "general"
PADDING = "x" * 300
AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


class Lives:
    """The runs of one server. `up`: it listens; `answered`: it has answered in this run."""

    def __init__(self, server: Process, port: int, seed: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.up, self.answered = asyncio.Event(), asyncio.Event()
        self._server, self._port = server, port
        self._moment = random.Random(seed)

    async def live(self, times: int, asking: "Sequence[Sender | Backend]") -> None:
        """Run it so many times, and kill it a while after it has answered each time; `asking` send all the time."""
        async with aiohttp.ClientSession() as http:
            running = [asyncio.create_task(one.run(http)) for one in asking]
            try:
                for _ in range(times):
                    await self._live(running)
            finally:
                for task in running:
                    task.cancel()
                ends = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    async def _live(self, running: Sequence[asyncio.Task[None]]) -> None:
        self.answered.clear()
        self._server.spawn()
        await eventually(lambda: accepts_connections(self._port), seconds=30)
        self.up.set()
        await _answered(self.answered, running)
        await asyncio.sleep(self._moment.uniform(0, LIVES))
        self.up.clear()
        await asyncio.to_thread(self._server.kill)


class Sender:
    """A device that sends without end, and after a reconnect repeats messages without an ack, with the same nonce."""

    def __init__(self, name: str, lives: Lives) -> None:
        self.name = name
        self.sent = 0
        self.acked: dict[str, tuple[str, int]] = {}
        self._lives = lives
        self._token = jwt.encode({"sub": name, "exp": 4_000_000_000}, SECRET)

    async def run(self, http: aiohttp.ClientSession) -> None:
        while True:
            await self._lives.up.wait()
            try:
                await self._live(http)
            except (aiohttp.ClientError, ConnectionError, EOFError):
                await asyncio.sleep(0.005)

    async def _live(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self._lives.url}/socket.io/?EIO=4&transport=websocket") as socket:
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
                self._lives.answered.set()


class Backend:
    """A backend that notifies without end, and repeats requests without an answer, with the same key."""

    def __init__(self, name: str, user: str, lives: Lives) -> None:
        self.name, self.user = name, user
        self.told: dict[str, tuple[str, int]] = {}
        self._lives = lives

    async def run(self, http: aiohttp.ClientSession) -> None:
        while True:
            await self._lives.up.wait()
            key = f"{self.name}:{len(self.told)}"
            body = {"user": self.user, "type": "order", "message": f"{key} {PADDING}", "key": key}
            try:
                async with http.post(f"{self._lives.url}/api/notifications", json=body, headers=AUTHORIZED) as answer:
                    assert answer.status == 200, await answer.text()
                    [one] = (await answer.json())["notifications"]
            except (aiohttp.ClientError, ConnectionError):
                await asyncio.sleep(0.005)
                continue
            self.told[key] = (one["id"], one["seq"])
            self._lives.answered.set()


async def _call(socket: aiohttp.ClientWebSocketResponse, event: str, payload: dict[str, str]) -> dict:
    await socket.send_str("42/chat,7" + json.dumps([event, payload]))
    return json.loads(await _packet(socket, "43/chat,7"))[0]


async def _packet(socket: aiohttp.ClientWebSocketResponse, start: str) -> str:
    """Return the rest of the next packet with this prefix; packets of other users in the room are skipped."""
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
async def db(database: str) -> AsyncIterator[Database]:
    db = Database(database)
    await db.connect()
    await db.migrate()
    yield db
    await db.close()


@pytest.fixture
def mortal(
    processes: Processes, preloaded_interpreter: PreloadedInterpreter, database: str, tmp_path: Path
) -> Callable[..., Lives]:
    """`mortal(seed, RATE_API="off")`: a server on that database. It is forked, to live again within moments."""

    def create(seed: int, **settings: str) -> Lives:
        port = free_port()
        env = environment(tmp_path, DATABASE_URL=database, PORT=port, LOG_LEVEL="error", **settings)
        log = tmp_path / "server.log"
        server = ForkedProcess(preloaded_interpreter, "rtserver", log=log, env=env, cwd=tmp_path)
        return Lives(processes.add(server), port, seed)

    return create


@pytest.mark.parametrize("half", [1, 2])
async def test_a_hundred_kills_lose_no_acked_message(db: Database, mortal: Callable[..., Lives], half: int) -> None:
    lives = mortal(half, RATE_EVENTS="100000/s")
    senders = [Sender(f"user{number}", lives) for number in range(SENDERS)]
    await lives.live(KILLS, senders)

    saved = [message async for message in _everything(Messages(db))]
    assert [message.seq for message in saved] == list(range(1, len(saved) + 1))
    kept = {(message.from_.id, message.nonce): message for message in saved}
    assert len(kept) == len(saved), Counter((m.from_.id, m.nonce) for m in saved).most_common(3)
    for message in saved:
        assert message.text == f"{message.from_.id} {message.nonce} {PADDING}"
    assert sum(len(sender.acked) for sender in senders) >= KILLS
    for sender in senders:
        for nonce, told in sender.acked.items():
            found = kept[sender.name, nonce]
            assert (found.id, found.seq) == told


async def test_a_key_and_its_notification_are_saved_together_or_not_at_all(
    db: Database, mortal: Callable[..., Lives]
) -> None:
    lives = mortal(9, RATE_API="100000/s")
    backends = [Backend(f"b{number}", f"user{number % 2}", lives) for number in range(SENDERS)]
    await lives.live(NOTIFY_KILLS, backends)

    async with db.reading() as connection:
        entered = set((await connection.execute(sa.select(requests.c.key))).scalars())
    inboxes = {user: (await Notifications(db).list(user, limit=10_000))[0] for user in ("user0", "user1")}
    kept = {note.message.partition(" ")[0]: note for inbox in inboxes.values() for note in inbox}
    assert len(kept) == sum(map(len, inboxes.values()))
    assert kept.keys() == entered
    for inbox in inboxes.values():
        assert [note.seq for note in reversed(inbox)] == list(range(1, len(inbox) + 1))
    assert sum(len(backend.told) for backend in backends) >= NOTIFY_KILLS
    for backend in backends:
        for key, told in backend.told.items():
            assert (kept[key].id, kept[key].seq) == told


async def _answered(alive: asyncio.Event, running: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the first answer of this run; raise the exception of a sender that has ended."""
    answer = asyncio.create_task(alive.wait())
    try:
        done, _ = await asyncio.wait({answer, *running}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise TimeoutError("nobody got an answer")
        for one in done:
            one.result()
    finally:
        answer.cancel()


async def _everything(store: Messages) -> AsyncIterator[Message]:
    after, more = 0, True
    while more:
        page, more = await store.history(ROOM, after=after, limit=1000)
        for message in page:
            yield message
        after = page[-1].seq
