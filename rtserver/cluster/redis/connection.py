"""Connections to Redis as the bus wants them: plain, with every surprise of the client library turned off.

What is off and why: retries (the bus decides what is lost and when to come back), RESP3 and maintenance
notifications (pushed replies would break the pairing of commands and answers), CLIENT SETINFO (an extra round
trip), timeouts per read (one for a whole batch is cheaper).

A replica is not our Redis, even if it answers: what is published there is heard by nobody at the primary.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from rtserver.cluster.redis.address import RedisAddress, parse_redis_url
from rtserver.cluster.redis.topology import (
    SLOT_KEY,
    ClusterConnection,
    ClusterMap,
    SecureClusterConnection,
    sentinel_pool,
)

CONNECT_TIMEOUT = 2.0
FAILURES = (RedisError, RedisClusterException, OSError, EOFError)
"""What going wrong with Redis looks like; everything else is a fault of ours."""

Connect = Callable[[], Connection]


class Demoted(RedisConnectionError):
    """This Redis is no primary, or not the one that has our keys."""

    def __init__(self) -> None:
        super().__init__("it is a read-only replica")


def connector(url: str | RedisAddress, name: str = "rtserver", *, key: str = SLOT_KEY) -> Connect:
    """A maker of connections, not yet open; in a Cluster they go to the owner of `key`.

    `ValueError`, without any password, if the URL cannot be used.
    """
    address = parse_redis_url(url) if isinstance(url, str) else url
    options: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": 0,
        "client_name": name,
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    pool = sentinel_pool(address, **options) if address.kind == "sentinel" else _pool(address, options, key)
    return pool.make_connection


def _pool(address: RedisAddress, options: dict[str, Any], key: str) -> ConnectionPool:
    options = {**options, **address.login, **address.tls, "db": address.db}
    if address.kind == "unix":
        return ConnectionPool(UnixDomainSocketConnection, path=address.path, **options)
    if address.kind == "cluster":
        kind = SecureClusterConnection if address.secure else ClusterConnection
        return ConnectionPool(kind, cluster_map=ClusterMap(address, key), **options)
    [(host, port)] = address.hosts
    return ConnectionPool(SSLConnection if address.secure else Connection, host=host, port=port, **options)


async def opened(connect: Connect) -> Connection:
    """Connected, authenticated, answering, and no replica."""
    connection = connect()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await connection.connect()  # type: ignore[no-untyped-call]
            if is_replica(await _greeting(connection)):
                raise Demoted
    except BaseException:
        await closed(connection)
        raise
    return connection


async def _greeting(connection: Connection) -> Any:
    """What Redis says of itself; nothing if it is too old for that, or may not."""
    for command in ("HELLO", "PING"):
        await connection.send_command(command, check_health=False)
        with contextlib.suppress(ResponseError):
            return await connection.read_response()
    raise RedisConnectionError("Redis answers no PING")


def is_replica(greeting: Any) -> bool:
    """Whether the answer to HELLO is that of a replica."""
    return isinstance(greeting, Sequence) and (b"role", b"replica") in zip(greeting[::2], greeting[1::2], strict=False)


async def closed(connection: Connection) -> None:
    """At once: closing properly would wait until a Redis that may be frozen has taken what is still to be sent."""
    sever(connection)
    with contextlib.suppress(*FAILURES):
        await connection.disconnect(nowait=True)


def sever(connection: Connection) -> None:
    writer = connection._writer
    if writer is not None:
        writer.transport.abort()


class Backoff:
    """Growing, jittered pauses between attempts, in seconds.

    They are short again once a connection has lasted for `stable` seconds: a Redis that takes each connection only
    to close it is not asked twenty times a second.
    """

    def __init__(self, first: float = 0.05, cap: float = 5.0, stable: float = 5.0) -> None:
        self._first, self._cap, self._stable = first, cap, stable
        self._next = first
        self._since: float | None = None

    def connected(self) -> None:
        self._since = asyncio.get_running_loop().time()

    def pause(self) -> float:
        since, self._since = self._since, None
        if since is not None and asyncio.get_running_loop().time() - since >= self._stable:
            self._next = self._first
        pause, self._next = self._next, min(self._cap, self._next * 2)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311
