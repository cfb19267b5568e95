"""The settings of the doors for backends that are not HTTP. `Settings` has them among its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from rtserver.config import field_types as kind
from rtserver.ingest.broker_addresses import check_amqp_url, check_kafka_url


def _secret(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda secret: SecretStr(check(secret.get_secret_value())))


KafkaUrl = Annotated[
    SecretStr, _secret(check_kafka_url),
    kind.FieldRule("kafka://host:9092,host2:9092, or with TLS kafkas://user:password@host:9092", secret=True),
]  # fmt: skip
AmqpUrl = Annotated[
    SecretStr, _secret(check_amqp_url),
    kind.FieldRule("amqp://user:password@host:5672/vhost, or with TLS amqps://…", secret=True),
]  # fmt: skip


class DoorSettings(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    inbox: kind.Switch | None = None
    """Whether this server carries out what backends leave in the durable inbox
    ([backends.md](backends.md#the-durable-inbox)). Whoever can write to Redis can then post in anybody's name, so with
    a cluster secret it has to be turned on by hand."""
    inbox_stream: kind.RedisKey = "rtserver:inbox"
    """The stream of Redis that is the durable inbox; what cannot be carried out goes to the same name with `:dead`."""
    kafka_url: KafkaUrl | None = None
    """Kafka, from which to fetch what backends leave there; needs `pip install rtserver[kafka]`."""
    kafka_topic: kind.RedisKey = "rtserver.inbox"
    """The topic; what cannot be carried out goes to the same name with `.dead`."""
    rabbitmq_url: AmqpUrl | None = None
    """RabbitMQ, from which to fetch what backends leave there; needs `pip install rtserver[rabbitmq]`."""
    rabbitmq_queue: kind.RedisKey = "rtserver.inbox"
    """The queue; what cannot be carried out goes to the same name with `.dead`."""

    @property
    def reads_inbox(self) -> bool:
        """Whether there is an inbox, and this server serves it."""
        mine: Any = self
        return mine.redis_url is not None and (self.inbox if self.inbox is not None else not mine.cluster_secret)
