"""Redis connections: opened by redis-py, with every automatic feature of it turned off.

1. No retries: the bus decides what is lost and when to reconnect.
2. No RESP3 and no maintenance notifications: pushed replies would break the pairing of commands and replies.
3. No CLIENT SETINFO: it costs an extra round trip.
4. No timeout per read: one timeout for a whole batch is cheaper.
5. A transport that was closed meanwhile counts as a connection that Redis has closed. uvloop raises `RuntimeError` when
   such a transport is used.
6. A replica is rejected even if it replies: a message published there reaches no subscriber of the primary.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from rtserver.backoff import Backoff
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
"""What a failing Redis raises; any other exception is a bug of ours."""

LONGEST_PAUSE = 0.5
"""Seconds between two attempts. A refused one costs little, and a Redis that is back is needed at once, by all."""

Connect = Callable[[], Connection]


def new_backoff() -> Backoff:
    """Return the pauses between attempts to connect to Redis."""
    return Backoff(cap=LONGEST_PAUSE)


class Demoted(RedisConnectionError):
    """This Redis is not a primary, or not the node that owns our keys."""

    def __init__(self) -> None:
        super().__init__("it is a read-only replica")


def connector(url: str | RedisAddress, name: str = "rtserver", *, key: str = SLOT_KEY) -> Connect:
    """Return a factory of connections that are not yet open; in a Cluster they go to the node that owns `key`.

    `name` is the client name that Redis lists. Raises `ValueError`, without any password, if the URL is unusable.
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
    """Return a connection that is connected, authenticated, responsive, and to a primary.

    Raises one of `FAILURES` within `CONNECT_TIMEOUT` seconds.
    """
    connection = connect()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            with closed_transport_as_failure():
                await connection.connect()  # type: ignore[no-untyped-call]
            if is_replica(await _greeting(connection)):
                raise Demoted
    except BaseException:
        await closed(connection)
        raise
    return connection


async def _greeting(connection: Connection) -> Any:
    """Return the reply to HELLO; to PING where HELLO is unknown (before Redis 6) or forbidden."""
    try:
        return await ask(connection, "HELLO")
    except ResponseError:
        return await ask(connection, "PING")


async def ask(connection: Connection, *command: Any) -> Any:
    """Send a command and return its reply; raises one of `FAILURES`, error replies as `ResponseError`."""
    with closed_transport_as_failure():
        await connection.send_command(*command, check_health=False)
        return await connection.read_response()


@contextlib.contextmanager
def closed_transport_as_failure() -> Iterator[None]:
    """Raise `ConnectionError` in place of the `RuntimeError` of a closed transport (rule 5)."""
    try:
        yield
    except RuntimeError as error:
        if type(error) is not RuntimeError:
            raise
        raise RedisConnectionError("closed by Redis") from error


def is_replica(greeting: Any) -> bool:
    """Return whether this reply to HELLO comes from a replica."""
    return isinstance(greeting, Sequence) and (b"role", b"replica") in zip(greeting[::2], greeting[1::2], strict=False)


async def closed(connection: Connection) -> None:
    """Close without waiting: a clean close would wait until a Redis that may be frozen has read what is buffered."""
    sever(connection)
    with contextlib.suppress(*FAILURES), closed_transport_as_failure():
        await connection.disconnect(nowait=True)


def sever(connection: Connection) -> None:
    """Abort the transport; what is buffered is lost."""
    writer = connection._writer
    if writer is not None:
        with contextlib.suppress(RuntimeError):  # rule 5
            writer.transport.abort()
