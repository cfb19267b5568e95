"""rtserver/ingest/rabbitmq.py on a real RabbitMQ: nothing is acknowledged before it is done."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aio_pika
import pytest

from rtserver.errors import Conflict, Unavailable
from rtserver.ingest.commands import Request
from rtserver.ingest.entry_processor import EntryProcessor
from rtserver.ingest.rabbitmq import RabbitMQConsumer
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.process import Processes
from tests.support.rabbitmq_server import RabbitServer
from tests.support.repository import ROOT
from tests.support.tcp_proxy import TcpProxy

QUEUE = "rtserver.inbox"


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    processes = Processes(tmp_path_factory.mktemp("rabbitmq"))
    server = RabbitServer(processes)
    server.start()
    yield server
    processes.stop_all()


class Hands:
    """Records requests; `decide` may raise."""

    def __init__(self) -> None:
        self.took: list[tuple[Any, str | None]] = []
        self.decide: Callable[[Any], None] = lambda request: None

    async def submit(self, request: Request, origin: str | None) -> None:
        await asyncio.sleep(0)
        self.decide(request)
        self.took.append((getattr(request, "event", None), origin))

    @property
    def events(self) -> list[Any]:
        return [event for event, _ in self.took]


def down(_: Any) -> None:
    """Behave as with a database that is down."""
    raise Unavailable


class Backend:
    def __init__(self, channel: aio_pika.abc.AbstractChannel, queue: str) -> None:
        self._channel, self._queue = channel, queue

    async def send(self, event: str, **more: Any) -> None:
        body = {"namespace": "/chat", "event": event, **more}
        await self.send_raw(json.dumps({"kind": "emit", "body": body}).encode(), message_id=event)

    async def send_raw(self, body: bytes, **options: Any) -> None:
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **options)
        await self._channel.default_exchange.publish(message, self._queue)

    async def length(self, suffix: str = "") -> int:
        declared = await self._channel.declare_queue(self._queue + suffix, passive=True)
        return declared.declaration_result.message_count or 0

    async def dead(self) -> list[tuple[str, bytes]]:
        queue = await self._channel.get_queue(f"{self._queue}.dead")
        found = []
        while (message := await queue.get(fail=False)) is not None:
            await message.ack()
            found.append((str(message.headers["reason"]), message.body))
        return found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A queue for this test only."""
    return f"{QUEUE}.{abs(hash(request.node.name))}"


@pytest.fixture
async def backend(rabbit: RabbitServer, name: str) -> AsyncIterator[Backend]:
    connection = await aio_pika.connect(rabbit.url)
    channel = await connection.channel()
    yield Backend(channel, name)
    await connection.close()


@pytest.fixture
async def door(rabbit: RabbitServer, name: str) -> AsyncIterator[Callable[..., Any]]:
    made: list[RabbitMQConsumer] = []

    async def make(hands: Hands, attempts: int = 5) -> RabbitMQConsumer:
        one = RabbitMQConsumer(rabbit.url, name, EntryProcessor(hands.submit, attempts=attempts), Metrics())
        made.append(one)
        await one.start()
        return one

    yield make
    for one in made:
        await one.stop()


async def _declared(backend: Backend) -> bool:
    try:
        await backend.length(".dead")
        return await backend.length() >= 0
    except aio_pika.exceptions.ChannelClosed:
        await backend._channel.reopen()
        return False


async def test_messages_are_executed_in_order_and_acknowledged(door: Any, backend: Backend) -> None:
    hands = Hands()
    one = await door(hands)
    await eventually(lambda: _declared(backend))
    for number in range(50):
        await backend.send(str(number))
    await eventually(lambda: len(hands.took) == 50)
    assert hands.events == [str(number) for number in range(50)]
    assert all(origin and origin.startswith("rabbitmq:") for _, origin in hands.took)
    await eventually(lambda: one._metrics.doors["rabbitmq", "done"] == 50)
    await one.stop()
    assert (await backend.length(), await backend.length(".dead")) == (0, 0)


async def test_unfinished_messages_are_delivered_to_another_server(door: Any, backend: Backend) -> None:
    """The database of the first server is down; that of the second is not."""
    broken, whole = Hands(), Hands()
    broken.decide = down
    one = await door(broken)
    await eventually(lambda: _declared(backend))
    await backend.send("precious")
    await eventually(lambda: _taken(backend))
    await one.stop(patience=0.1)
    assert broken.took == []
    await door(whole)
    await eventually(lambda: whole.events == ["precious"])


async def test_messages_that_can_never_be_executed_go_to_the_dead_letter_queue(door: Any, backend: Backend) -> None:
    hands = Hands()

    def decide(request: Any) -> None:
        if request.event == "conflict":
            raise Conflict
        if request.event == "bug":
            raise RuntimeError

    hands.decide = decide
    await door(hands, attempts=1)
    await eventually(lambda: _declared(backend))
    garbage = [b"", b"\xff", b"{", b"[]", b'{"kind":"emit"}', b'{"kind":"no","body":{}}', b"[" * 100_000]
    garbage.append(b"1" * 2_000_000)
    for body in garbage:
        await backend.send_raw(body)
    await backend.send("conflict")
    await backend.send("bug")
    await backend.send("good")
    await eventually(lambda: hands.events == ["good"])
    dead: list[tuple[str, bytes]] = []

    async def all_dead() -> bool:
        dead.extend(await backend.dead())
        return len(dead) == len(garbage) + 2

    await eventually(all_dead)
    reasons = sorted({reason.partition(":")[0] for reason, _ in dead})
    assert reasons == ["conflict", "internal", "invalid_payload", "too_large"]
    assert {body for _, body in dead} >= set(garbage)
    assert await backend.length() == 0


async def test_messages_of_a_lost_connection_are_delivered_to_another_server(
    rabbit: RabbitServer, name: str, backend: Backend, door: Any
) -> None:
    cut, whole = Hands(), Hands()
    cut.decide = down
    async with TcpProxy().to(rabbit.port) as proxy:
        one = RabbitMQConsumer(
            f"amqp://guest:guest@127.0.0.1:{proxy.port}/", name, EntryProcessor(cut.submit), Metrics()
        )
        await one.start()
        await eventually(lambda: _declared(backend))
        await backend.send("precious")
        await eventually(lambda: _taken(backend))
    await door(whole)
    await eventually(lambda: whole.events == ["precious"])
    await one.stop()


async def _taken(backend: Backend) -> bool:
    return await backend.length() == 0


async def test_the_documented_example_works(rabbit: RabbitServer) -> None:
    page = (ROOT / "docs" / "backends.md").read_text()
    section = page.partition("\n## RabbitMQ\n")[2].partition("\n## ")[0]
    code = section.partition("```python\n")[2].partition("```")[0]
    hands: list[Any] = []

    async def submit(request: Request, origin: str | None) -> None:
        hands.append(request)

    one = RabbitMQConsumer(rabbit.url, QUEUE, EntryProcessor(submit), Metrics())
    connection = await aio_pika.connect(rabbit.url)
    await one.start()
    backend = Backend(await connection.channel(), QUEUE)
    await eventually(lambda: _declared(backend))
    ran = await asyncio.create_subprocess_exec(sys.executable, "-", stdin=asyncio.subprocess.PIPE)
    await ran.communicate(code.replace("127.0.0.1:5672", f"127.0.0.1:{rabbit.port}").encode())
    assert ran.returncode == 0
    await eventually(lambda: hands)
    assert (hands[0].user, hands[0].key) == ("alice", "order-1045")
    await one.stop()
    await connection.close()
