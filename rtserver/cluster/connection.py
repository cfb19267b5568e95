"""Connections to Redis as the bus wants them: plain, with every surprise of the client library turned off.

What is off and why: retries (the bus decides what is lost and when to come back), RESP3 and maintenance
notifications (pushed replies would break the pairing of commands and answers), CLIENT SETINFO (an extra round
trip), timeouts per read (one for a whole batch is cheaper).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from urllib.parse import urlsplit

from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

CONNECT_TIMEOUT = 2.0
FAILURES = (RedisError, OSError, EOFError)
"""What going wrong with Redis looks like; everything else is a fault of ours."""

Connect = Callable[[], Connection]


def connector(url: str, name: str = "rtserver") -> Connect:
    """A maker of connections, not yet open. `ValueError` unless `redis://`, `rediss://` or `unix://`."""
    pool = ConnectionPool.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT,
        health_check_interval=0,
        client_name=name,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return pool.make_connection


async def opened(connect: Connect) -> Connection:
    """Connected, authenticated, and answering."""
    connection = connect()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("PING", check_health=False)
            await connection.read_response()
    except BaseException:
        await closed(connection)
        raise
    return connection


async def closed(connection: Connection) -> None:
    with contextlib.suppress(*FAILURES):
        await connection.disconnect(nowait=True)


def address(url: str) -> str:
    """The URL without user and password, for logs."""
    parts = urlsplit(url)
    host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    return f"{parts.scheme}://{host}{parts.path}"


class Backoff:
    """Growing, jittered pauses between attempts, in seconds."""

    def __init__(self, first: float = 0.05, cap: float = 5.0) -> None:
        self._first, self._cap = first, cap
        self._next = first

    def pause(self) -> float:
        pause, self._next = self._next, min(self._cap, self._next * 2)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311

    def reset(self) -> None:
        self._next = self._first
