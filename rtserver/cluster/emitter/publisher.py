"""Publishers, for processes that only publish: one connection to Redis, opened on demand. With asyncio or without."""

from __future__ import annotations

import asyncio
import os
import threading

from redis.asyncio import Connection

from rtserver.cluster.redis.connection import FAILURES, ask, closed, connector, opened
from rtserver.cluster.redis.rights import refusal_of
from rtserver.errors import Unavailable
from rtserver.protocol.adapter.signing import Seal


class Publisher:
    """A publish that fails is not repeated: Redis may have executed it. `timeout`: seconds, connecting included."""

    def __init__(self, url: str, timeout: float, command: str, seal: Seal | None) -> None:
        self._connect = connector(url, "rtserver-emitter")
        self._command, self._seal = command, seal
        self._timeout = timeout
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def publish(self, channel: str, payload: bytes) -> int:
        """Publish; return the number of subscriptions that this Redis passed it to. Raises `Unavailable`."""
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._send(await self._open(), channel, payload)
            except FAILURES as error:
                await self._close()
                refusal = refusal_of(error, self._command)
                if refusal is not None:
                    raise Unavailable(refusal.reason) from error
                raise Unavailable(f"Redis is not available: {str(error) or 'it does not answer'}") from error
            except BaseException:
                await self._close()  # its reply may still come, and would be taken for that of the next command
                raise

    async def close(self) -> None:
        """Close the connection; the next publish opens another."""
        async with self._lock:
            await self._close()

    async def _open(self) -> Connection:
        if self._connection is not None and await self._connection.can_read():
            await self._close()  # no reply is expected, so this is the end of the stream
        if self._connection is None:
            self._connection = await opened(self._connect)
        return self._connection

    async def _send(self, connection: Connection, channel: str, payload: bytes) -> int:
        signed = payload if self._seal is None else self._seal.sign(channel, payload)
        return int(await ask(connection, self._command, channel, signed))

    async def _close(self) -> None:
        if self._connection is not None:
            await closed(self._connection)
            self._connection = None


class BlockingPublisher:
    """The same for code without asyncio, on an event loop in a thread of its own.

    Threads may share a publisher. After a fork, the child process starts another thread.
    """

    def __init__(self, url: str, timeout: float, command: str, seal: Seal | None) -> None:
        self._url, self._timeout, self._command, self._seal = url, timeout, command, seal
        connector(url)  # raises ValueError for an unusable URL
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def publish(self, channel: str, payload: bytes) -> int:
        """Publish and wait; return the number of subscriptions. Raises `Unavailable`."""
        with self._lock:
            if self._worker is None or self._worker.pid != os.getpid():
                self._worker = _Worker(self._url, self._timeout, self._command, self._seal)
            worker = self._worker
        return worker.publish(channel, payload)

    def close(self) -> None:
        """Close the connection and end the thread."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None and worker.pid == os.getpid():
            worker.close()


class _Worker:
    def __init__(self, url: str, timeout: float, command: str, seal: Seal | None) -> None:
        self.pid = os.getpid()
        self._publisher = Publisher(url, timeout, command, seal)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtserver-emitter", daemon=True)
        self._thread.start()

    def publish(self, channel: str, payload: bytes) -> int:
        return asyncio.run_coroutine_threadsafe(self._publisher.publish(channel, payload), self._loop).result()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._publisher.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
