"""rtserver/app/ingest.py: which sources of requests a server consumes."""

import sys
from pathlib import Path
from typing import Any

import pytest

from rtserver.app.composition import create_app
from rtserver.config.settings import Settings
from rtserver.errors import ConfigError

REDIS = "redis://127.0.0.1:1/0"
SECRET = "0123456789abcdef-0123456789ABCDEF"


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("settings", "reads"),
    [
        ({}, False),
        ({"inbox": True}, False),
        ({"redis_url": REDIS}, True),
        ({"redis_url": REDIS, "inbox": False}, False),
        ({"redis_url": REDIS, "cluster_secret": SECRET}, False),
        ({"redis_url": REDIS, "cluster_secret": SECRET, "inbox": True}, True),
    ],
)
def test_the_inbox_is_read_with_redis_and_with_a_cluster_secret_only_on_request(
    settings: dict[str, Any], reads: bool
) -> None:
    assert Settings(_env_file=None, **settings).reads_inbox is reads


@pytest.mark.parametrize(
    ("door", "package", "url"),
    [("rabbitmq", "aio_pika", "amqp://guest:hunter2@host/"), ("kafka", "aiokafka", "kafka://host:9092")],
)
def test_a_broker_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, door: str, package: str, url: str
) -> None:
    monkeypatch.delitem(sys.modules, f"rtserver.ingest.{door}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        create_app(Settings(_env_file=None, **{f"{door}_url": url}))
    assert f"the extra {door!r}: pip install '{package.replace('_', '-')}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("setting", ["kafka_url", "rabbitmq_url"])
def test_an_invalid_broker_url_is_rejected_without_being_shown(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(_env_file=None, **{setting: "http://user:hunter2@host"})
    assert f"RTSERVER_{setting.upper()}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
