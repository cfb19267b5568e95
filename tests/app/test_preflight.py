"""rtserver/app/preflight.py: what would keep `serve` from starting is found without starting or writing anything."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from rtserver.app import preflight
from rtserver.config.settings import Settings
from rtserver.errors import ConfigError
from rtserver.store.db.database import Database
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

SECRET = "3f9c1e07b5a84d62" * 4


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


def production(**given: Any) -> Settings:
    return settings(mode="production", jwt_secret=SECRET, **given)


def refusals(given: Settings) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        preflight.compose(given)
    return caught.value.faults


def test_a_development_server_is_composed_without_a_file(folder: Path) -> None:
    preflight.compose(settings())
    assert not (folder / "var").exists()


def test_a_damaged_development_secret_is_found(folder: Path) -> None:
    (folder / "var").mkdir()
    (folder / "var" / "dev-secret").write_text("short\n")
    assert "is damaged" in refusals(settings())[0]


def test_a_data_folder_that_cannot_be_made_is_found(folder: Path) -> None:
    (folder / "var").write_text("a file")
    assert "cannot be read or made" in refusals(settings())[0]


@pytest.mark.parametrize(
    ("extra", "package", "url"),
    [("kafka", "aiokafka", "kafka://h:9092"), ("rabbitmq", "aio_pika", "amqp://u:p@h/")],
)
def test_a_missing_extra_is_found(monkeypatch: pytest.MonkeyPatch, extra: str, package: str, url: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"rtserver.ingest.{extra}", raising=False)
    assert (
        f"the extra {extra!r}: pip install '{package.replace('_', '-')}"
        in refusals(settings(**{f"{extra}_url": url}))[0]
    )


async def test_services_that_answer_are_good(redis_server: RedisServer, postgres_url: str) -> None:
    given = production(redis_url=redis_server.url, database_url=postgres_url)
    assert await preflight.unreachable(given, 20) == [preflight.NOT_MIGRATED]
    database = Database(postgres_url)
    await database.migrate()
    assert await preflight.unreachable(given, 20) == []


async def test_a_new_sqlite_file_is_good_in_development_and_is_not_made(folder: Path) -> None:
    assert await preflight.unreachable(settings(), 20) == []
    assert await preflight.unreachable(production(), 20) == [preflight.NOT_MIGRATED]
    assert not (folder / "var").exists()


async def test_every_service_that_cannot_be_used_is_told_without_its_password(
    redis_server: RedisServer, postgres_url: str
) -> None:
    nowhere = free_port()
    wrong = redis_server.url.replace("redis://", "redis://:hunter22@")
    given = settings(
        database_url=postgres_url.rpartition("/")[0].replace("postgres@", "postgres:hunter22@") + "/no_such_database",
        redis_url=wrong, rabbitmq_url=f"amqp://u:hunter22@127.0.0.1:{nowhere}/", kafka_url=f"kafka://127.0.0.1:{nowhere}",
    )  # fmt: skip
    told = await preflight.unreachable(given, 20)
    assert [one.partition(" cannot be used: ")[0].split(" ")[0] for one in told] == [
        "The",
        "Redis",
        "RabbitMQ",
        "Kafka",
    ]
    assert 'database "no_such_database" does not exist' in told[0]
    assert "hunter22" not in "".join(told)
    assert "without any password" in told[1] or "WRONGPASS" in told[1] or "invalid username-password" in told[1]
    assert "Connect call failed" in told[2]
    assert f"kafka://127.0.0.1:{nowhere} cannot be used: KafkaConnectionError" in told[3]


async def test_a_file_that_is_no_database_and_a_folder_that_is_none_are_told(folder: Path) -> None:
    (folder / "file").write_text("no database at all, and long enough to have a header" * 10)
    [told] = await preflight.unreachable(settings(database_url=f"sqlite:///{folder}/file"), 20)
    assert "file is not a database" in told
    [told] = await preflight.unreachable(settings(database_url=f"sqlite:///{folder}/file/x.db"), 20)
    assert "Not a directory" in told


async def test_a_database_of_a_newer_version_is_told(folder: Path) -> None:
    database = Database(f"sqlite:///{folder}/x.db")
    await database.migrate()
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    await database.close()
    told = await preflight.unreachable(settings(database_url=f"sqlite:///{folder}/x.db"), 20)
    assert told == ["the database was made by a newer rtserver; install that version"]


async def test_a_service_that_never_answers_ends_with_the_timeout() -> None:
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        given = settings(
            database_url=f"postgresql://u:hunter22@127.0.0.1:{port}/x", redis_url=f"redis://127.0.0.1:{port}",
            rabbitmq_url=f"amqp://127.0.0.1:{port}/",
        )  # fmt: skip
        told = await preflight.unreachable(given, 0.3)
    assert [one.endswith("does not answer within 0.3 s.") for one in told] == [True] * 3
    assert "hunter22" not in "".join(told)
