"""Settings of the durable inbox and of message brokers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from rtserver.cluster.redis.names import DEFAULT_PREFIX, RedisNames
from rtserver.config import field_types as kind
from rtserver.config.backing_services import BackingServiceSettings
from rtserver.ingest.broker_addresses import check_amqp_url, check_kafka_url


def _secret(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda secret: SecretStr(check(secret.get_secret_value())))


def _default_inbox(others: dict[str, Any]) -> str:
    return RedisNames(others.get("redis_key", DEFAULT_PREFIX)).inbox


KafkaUrl = Annotated[
    SecretStr, _secret(check_kafka_url),
    kind.FieldRule("kafka://host:9092,host2:9092, or with TLS kafkas://user:password@host:9092", secret=True),
]  # fmt: skip
AmqpUrl = Annotated[
    SecretStr, _secret(check_amqp_url),
    kind.FieldRule("amqp://user:password@host:5672/vhost, or with TLS amqps://…", secret=True),
]  # fmt: skip


class IngestSettings(BackingServiceSettings):
    """The group "Inbox and message brokers"."""

    GROUP: ClassVar[str] = "Inbox and message brokers"

    inbox: kind.Switch | None = None
    """Whether this server executes the requests that backends leave in the durable inbox
    ([backends.md](backends.md#the-durable-inbox)). Every client of that Redis can then post in any user's name, so with
    a cluster secret it is off unless you turn it on."""
    inbox_stream: kind.RedisKey = Field(default_factory=_default_inbox)
    """The Redis stream of the durable inbox; entries that fail for good go to the same name with `:dead`."""
    kafka_url: KafkaUrl | None = None
    """Kafka, from which requests of backends are consumed; needs the extra `rtserver[kafka]`
    ([backends.md](backends.md#kafka))."""
    kafka_topic: kind.RedisKey = "rtserver.inbox"
    """The topic; entries that fail for good go to the same name with `.dead`."""
    rabbitmq_url: AmqpUrl | None = None
    """RabbitMQ, from which requests of backends are consumed; needs the extra
    `rtserver[rabbitmq]` ([backends.md](backends.md#rabbitmq))."""
    rabbitmq_queue: kind.RedisKey = "rtserver.inbox"
    """The queue; entries that fail for good go to the same name with `.dead`."""

    @property
    def reads_inbox(self) -> bool:
        """Whether this server consumes the durable inbox."""
        return self.redis_url is not None and (self.inbox if self.inbox is not None else not self.cluster_secret)
