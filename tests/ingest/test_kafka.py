"""rtserver/ingest/kafka.py against a topic in memory that behaves as aiokafka does.

No broker runs in the tests, since Kafka needs a JVM. Names and arguments are checked against the real package.
"""

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any, ClassVar

import aiokafka
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError, MessageSizeTooLargeError

from rtserver.errors import Unavailable
from rtserver.ingest import kafka
from rtserver.ingest.broker_addresses import parse_kafka_url
from rtserver.ingest.commands import Request
from rtserver.ingest.entry_processor import EntryProcessor
from rtserver.ingest.kafka import KafkaConsumer
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually

TOPIC = "rtserver.inbox"
PART = TopicPartition(TOPIC, 0)


class Broker:
    """One partition: records, committed offset, dead letters. `refuse` and `fail_commits` make calls fail."""

    def __init__(self) -> None:
        self.records: list[ConsumerRecord[Any, Any]] = []
        self.committed = 0
        self.dead: list[tuple[bytes, dict[str, bytes]]] = []
        self.refuse = 0
        self.fail_commits = 0
        self.asked: list[dict[str, Any]] = []

    def add(self, value: bytes | None, key: bytes | None = None) -> None:
        offset = len(self.records)
        self.records.append(
            ConsumerRecord(TOPIC, 0, offset, 1_700_000_000_000 + offset, 0, key, value, None, 0, len(value or b""), ())
        )

    def event(self, name: str) -> None:
        self.add(json.dumps({"kind": "emit", "body": {"namespace": "/chat", "event": name}}).encode())


class Consumer:
    broker: ClassVar[Broker]

    def __init__(self, *topics: str, **options: Any) -> None:
        self.broker.asked.append({"topics": topics, **options})
        self._next = 0

    async def start(self) -> None:
        if self.broker.refuse:
            self.broker.refuse -= 1
            raise KafkaConnectionError
        self._next = self.broker.committed

    async def stop(self) -> None: ...

    async def getmany(self, *partitions: Any, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        found = self.broker.records[self._next : self._next + max_records]
        if not found:
            await asyncio.sleep(0.01)
            return {}
        self._next += len(found)
        return {PART: found}

    async def commit(self, offsets: dict[Any, int]) -> None:
        if self.broker.fail_commits:
            self.broker.fail_commits -= 1
            raise CommitFailedError
        self.broker.committed = offsets[PART]


class Producer:
    broker: ClassVar[Broker]

    def __init__(self, **options: Any) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send_and_wait(self, topic: str, value: bytes, key: Any, headers: list[tuple[str, bytes]]) -> None:
        assert topic == f"{TOPIC}.dead"
        if len(value) + len(key or b"") > 1_000_000:
            raise MessageSizeTooLargeError
        self.broker.dead.append((value, dict(headers)))


class Hands:
    def __init__(self) -> None:
        self.took: list[tuple[Any, str | None]] = []
        self.decide: Callable[[Any], None] = lambda request: None

    async def submit(self, request: Request, origin: str | None) -> None:
        self.decide(request)
        self.took.append((getattr(request, "event", None), origin))

    @property
    def events(self) -> list[Any]:
        return [event for event, _ in self.took]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    Consumer.broker = Producer.broker = Broker()
    monkeypatch.setattr(kafka, "AIOKafkaConsumer", Consumer)
    monkeypatch.setattr(kafka, "AIOKafkaProducer", Producer)
    return Consumer.broker


def door_of(hands: Hands, attempts: int = 5) -> KafkaConsumer:
    return KafkaConsumer(
        parse_kafka_url("kafka://a:9092,b"), TOPIC, EntryProcessor(hands.submit, attempts=attempts), Metrics()
    )


async def test_records_are_executed_in_order_and_committed(broker: Broker) -> None:
    hands = Hands()
    for number in range(200):
        broker.event(str(number))
    one = door_of(hands)
    await one.start()
    await eventually(lambda: broker.committed == 200)
    await one.stop()
    assert hands.events == [str(number) for number in range(200)]
    assert hands.took[7][1] == f"kafka:{TOPIC}:0:7:1700000000007"
    assert broker.asked[0]["topics"] == (TOPIC,)
    assert broker.asked[0]["bootstrap_servers"] == ["a:9092", "b:9092"]
    assert broker.asked[0]["enable_auto_commit"] is False


async def test_nothing_is_committed_before_it_is_saved(broker: Broker) -> None:
    hands = Hands()

    def down(_: Any) -> None:
        raise Unavailable

    hands.decide = down
    broker.event("precious")
    one = door_of(hands)
    await one.start()
    await eventually(lambda: broker.asked)
    await one.stop(patience=0.3)
    assert broker.committed == 0
    hands.decide = lambda _: None
    again = door_of(hands)
    await again.start()
    await eventually(lambda: broker.committed == 1)
    await again.stop()
    assert hands.events == ["precious"]


async def test_records_that_can_never_be_executed_go_to_the_dead_letter_topic(broker: Broker) -> None:
    hands = Hands()

    def bug(request: Any) -> None:
        if request.event == "bug":
            raise RuntimeError

    hands.decide = bug
    values = [None, b"", b"\xff", b"[]", b'{"kind":"emit"}', b"1" * 2_000_000]
    for value in values:
        broker.add(value)
    broker.add(b"2" * 600_000, b"k" * 700_000)
    broker.event("bug")
    broker.event("good")
    one = door_of(hands, attempts=1)
    await one.start()
    await eventually(lambda: broker.committed == len(values) + 3)
    await one.stop()
    assert hands.events == ["good"]
    assert len(broker.dead) == len(values) + 2
    reasons = {headers["reason"].partition(b":")[0] for _, headers in broker.dead}
    assert reasons == {b"invalid_payload", b"too_large", b"internal"}
    assert max(len(value) for value, _ in broker.dead) < 1_000_000, "it must fit into a record"
    assert broker.dead[2][1]["place"] == b"0:2"


async def test_after_a_reconnect_uncommitted_records_are_fetched_again(broker: Broker) -> None:
    hands = Hands()
    broker.refuse = 2
    broker.fail_commits = 1
    broker.event("twice")
    one = door_of(hands)
    await one.start()
    await eventually(lambda: broker.committed == 1)
    await one.stop()
    assert hands.took[0] == hands.took[1], "the same origin makes the second time harmless"


@pytest.mark.parametrize("kind", ["Consumer", "Producer"])
def test_the_real_package_accepts_the_arguments_of_the_consumer(kind: str) -> None:
    real, stand_in = getattr(aiokafka, f"AIOKafka{kind}"), {"Consumer": Consumer, "Producer": Producer}[kind]
    options = kafka._options(parse_kafka_url("kafkas://user:secret@host?mechanism=SCRAM-SHA-512"))
    own = {"group_id", "enable_auto_commit", "auto_offset_reset"} if kind == "Consumer" else {"acks"}
    assert (options.keys() | own) <= inspect.signature(real.__init__).parameters.keys()
    for name in ("getmany", "commit", "send_and_wait"):
        if hasattr(stand_in, name):
            asked = inspect.signature(getattr(stand_in, name)).parameters.keys() - {"self", "partitions"}
            assert asked <= inspect.signature(getattr(real, name)).parameters.keys(), name
