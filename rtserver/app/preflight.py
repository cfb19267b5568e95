"""Preflight: finds what would keep `serve` from starting, without starting it, for `rtserver config check`.

1. `compose` makes the application as `serve` does, with the same `create_app`: plugins, extras and files of keys are
   loaded, two namespaces on one path are found.
2. It opens no connection and writes nothing: where development mode would make its secret, a random one stands in.
3. `unreachable` asks each service that is configured, all at the same time. It changes nothing either.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from rtserver.app.composition import NOT_MIGRATED, create_app
from rtserver.app.ingest import extra
from rtserver.cluster.redis.address import parse_redis_url
from rtserver.cluster.redis.connection import closed, connector, opened
from rtserver.config.dev_secret import existing_dev_secret
from rtserver.config.settings import Settings
from rtserver.config.urls import without_password
from rtserver.errors import ConfigError, EventError
from rtserver.ingest.broker_addresses import parse_kafka_url, shown_amqp
from rtserver.store.db.database import Database
from rtserver.telemetry.redaction import redact_text

Check = Callable[[], Awaitable[None]]


def compose(settings: Settings) -> web.Application:
    """Make the application as `serve` does, and write nothing. Raises `ConfigError` with every fault."""
    if settings.development and not settings.configured_keys:
        secret = existing_dev_secret(settings.data_dir) or secrets.token_urlsafe(48)
        settings = settings.model_copy(update={"jwt_secret": (SecretStr(secret),)})
    return create_app(settings)


async def unreachable(settings: Settings, timeout: float) -> list[str]:
    """Return a sentence for each service that cannot be used, or does not answer within `timeout` seconds."""
    found = await asyncio.gather(*(_fault(what, check, timeout) for what, check in _checks(settings)))
    return [fault for fault in found if fault is not None]


async def _fault(what: str, check: Check, timeout: float) -> str | None:
    try:
        async with asyncio.timeout(timeout):
            await check()
    except ConfigError as error:
        return " ".join(error.faults)
    except TimeoutError:
        return f"{what} does not answer within {timeout:g} s."
    except Exception as error:  # noqa: BLE001  the root of a check: whatever a driver raises means "cannot be used"
        return f"{what} cannot be used: {_reason(error)}."
    return None


def _reason(error: BaseException) -> str:
    # The store's own error has no details; those of the driver are in the error that it translates.
    if isinstance(error, EventError) and error.__context__ is not None:
        error = error.__context__
    name = type(error).__name__
    text = redact_text(str(error).partition("\n")[0].strip())[:200].rstrip(".")
    return f"{name}: {text.removeprefix(f'{name}: ')}" if text else name


def _checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    url = settings.database_url.get_secret_value()
    yield f"The database {without_password(url)}", lambda: _check_database(url, settings)
    if settings.redis_url is not None:
        redis = settings.redis_url.get_secret_value()
        yield f"Redis at {parse_redis_url(redis).shown}", lambda: _check_redis(redis)
    if settings.rabbitmq_url is not None:
        amqp = settings.rabbitmq_url.get_secret_value()
        yield f"RabbitMQ at {shown_amqp(amqp)}", lambda: _broker("rabbitmq")(amqp)
    if settings.kafka_url is not None:
        kafka = parse_kafka_url(settings.kafka_url.get_secret_value())
        yield f"Kafka at {kafka.shown}", lambda: _broker("kafka")(kafka)


def _broker(name: str) -> Callable[[Any], Awaitable[None]]:
    check: Callable[[Any], Awaitable[None]] = extra(name).check_connection
    return check


async def _check_database(url: str, settings: Settings) -> None:
    database = Database(url, timeout=settings.database_timeout)
    try:
        missing = (await database.pending()).steps
    finally:
        await database.close()
    if missing and settings.production:
        raise ConfigError([NOT_MIGRATED])


async def _check_redis(url: str) -> None:
    await closed(await opened(connector(url)))
