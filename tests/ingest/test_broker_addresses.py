"""rtserver/ingest/broker_addresses.py: which addresses of Kafka and RabbitMQ are usable."""

import pytest

from rtserver.ingest.broker_addresses import check_amqp_url, parse_kafka_url, shown_amqp


def test_a_kafka_address_names_brokers_and_how_to_log_in() -> None:
    address = parse_kafka_url("kafkas://us%40er:p%3Ass@a:9093,b?mechanism=scram-sha-256")
    assert address.hosts == ("a:9093", "b:9092")
    assert (address.user, address.password, address.mechanism) == ("us@er", "p:ss", "SCRAM-SHA-256")
    assert address.shown == "kafkas://a:9093,b:9092"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9092",
        "http://host:9092",
        "kafka://",
        "kafka://host:0",
        "kafka://host:x",
        "kafka://a,,b",
        "kafka://host/topic",
        "kafka://user:hunter2@host",
        "kafkas://user:hunter2@host?mechanism=MD5",
        "kafkas://user:hunter2@host?acks=0",
    ],
)
def test_an_invalid_kafka_address_is_rejected_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"it must look|its hosts|its only option|a plain password") as caught:
        parse_kafka_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "amqp://", "http://host", "amqp://host:99999", "amqp://user:hunter2@host:x/"])
def test_an_invalid_amqp_address_is_rejected_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"it must look like") as caught:
        check_amqp_url(url)
    assert "hunter2" not in str(caught.value)


def test_an_amqp_address_is_shown_without_its_login() -> None:
    assert shown_amqp(check_amqp_url("amqps://user:hunter2@host:5671/v")) == "amqps://host:5671/v"
