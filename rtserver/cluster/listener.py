"""Subscriptions to Redis: one connection for all of them, which comes back by itself.

Rules:
1. `synced` only after everything wanted at connecting is confirmed by Redis; a later subscription is confirmed
   by itself (`wait_confirmed`) and does not take `synced` back.
2. Nothing that a message or its handler does ends the listener.
3. A connection that answers no PING for `PATIENCE` of them is dead, whatever TCP believes, and however much is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Any, NoReturn

import structlog
from redis.asyncio import Connection

from rtserver.cluster.connection import FAILURES, Backoff, Connect, closed, opened, sever

log = structlog.get_logger("rtserver.redis")

PATIENCE = 3
TURN = 64
"""After so many messages the rest of the server gets a turn."""

Handler = Callable[[str, bytes], None]
"""Called with channel and payload. Synchronous, so that messages are handled in order."""

_KINDS = {b"subscribe": False, b"psubscribe": True, b"unsubscribe": False, b"punsubscribe": True}


class Listener:
    """`deliver(handler, channel, payload)` guards the handler; `on_change(error)`: synced, or why not."""

    def __init__(
        self,
        connect: Connect,
        *,
        deliver: Callable[[Handler, str, bytes], None],
        on_change: Callable[[BaseException | None], None],
        ping_every: float = 1.5,
    ) -> None:
        self._connect = connect
        self._deliver, self._on_change = deliver, on_change
        self._ping_every = ping_every
        self._wanted: dict[tuple[bool, bytes], list[Handler]] = {}
        self._asked: set[tuple[bool, bytes]] = set()
        self._confirmed: set[tuple[bool, bytes]] = set()
        self._awaited: set[tuple[bool, bytes]] = set()
        self._changed = asyncio.Event()
        self._confirmation = asyncio.Condition()
        self._unanswered = 0
        self._connection: Connection | None = None
        self.synced = False

    def subscribe(self, name: str, handler: Handler, *, pattern: bool = False) -> None:
        self._wanted.setdefault((pattern, name.encode()), []).append(handler)
        self._changed.set()

    def unsubscribe(self, name: str, handler: Handler, *, pattern: bool = False) -> None:
        key = (pattern, name.encode())
        handlers = [kept for kept in self._wanted.get(key, []) if kept != handler]
        if handlers:
            self._wanted[key] = handlers
        else:
            self._wanted.pop(key, None)
        self._changed.set()

    async def wait_confirmed(self, name: str, timeout: float) -> bool:
        """Whether Redis has confirmed the subscription to channel `name`, within `timeout` seconds."""
        key = (False, name.encode())
        if key in self._confirmed:
            return True
        try:
            async with asyncio.timeout(timeout), self._confirmation:
                await self._confirmation.wait_for(lambda: key in self._confirmed)
        except TimeoutError:
            return False
        return True

    def leave(self) -> None:
        """Give this connection up and make a new one."""
        if self._connection is not None:
            sever(self._connection)

    async def run(self) -> None:
        """Connect, subscribe, listen, and start over when that fails; ends only by cancellation."""
        backoff = Backoff()
        while True:
            error = await self._one_connection(backoff)
            self._on_change(error)
            await asyncio.sleep(backoff.pause())

    async def _one_connection(self, backoff: Backoff) -> BaseException:
        connection = None
        try:
            self._connection = connection = await opened(self._connect)
            await self._listen(connection, backoff)
        except FAILURES as error:
            return error
        except Exception as error:
            log.exception("redis_listener_failed")
            return error
        finally:
            self.synced = False
            self._connection = None
            self._confirmed.clear()
            if connection is not None:
                await closed(connection)

    async def _listen(self, connection: Connection, backoff: Backoff) -> NoReturn:
        self._unanswered = 0
        self._asked.clear()
        self._awaited = set(self._wanted)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep(connection))
                tasks.create_task(self._read(connection, backoff))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        raise AssertionError("neither of them returns")

    async def _keep(self, connection: Connection) -> NoReturn:
        """Bring Redis's subscriptions in line with what is wanted, and see that it lives."""
        now = asyncio.get_running_loop().time
        due = now() + self._ping_every
        while True:
            self._changed.clear()
            await self._align(connection)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            if now() >= due:
                if self._unanswered >= PATIENCE:
                    raise TimeoutError("Redis does not answer")
                self._unanswered += 1
                await self._send(connection, "PING")
                due = now() + self._ping_every

    async def _align(self, connection: Connection) -> None:
        wanted = set(self._wanted)
        for pattern in (False, True):
            prefix = "P" if pattern else ""
            new = [name for kind, name in wanted - self._asked if kind is pattern]
            old = [name for kind, name in self._asked - wanted if kind is pattern]
            if new:
                await self._send(connection, f"{prefix}SUBSCRIBE", *new)
            if old:
                await self._send(connection, f"{prefix}UNSUBSCRIBE", *old)
        self._asked = wanted

    async def _send(self, connection: Connection, *args: str | bytes) -> None:
        async with asyncio.timeout(self._ping_every):
            await connection.send_command(*args, check_health=False)

    async def _read(self, connection: Connection, backoff: Backoff) -> NoReturn:
        taken = 0
        self._check_synced(backoff)
        while True:
            reply = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
            self._unanswered = 0
            if isinstance(reply, list) and len(reply) >= 3 and not self._message(reply):
                await self._note(reply)
                self._check_synced(backoff)
            taken += 1
            if taken % TURN == 0:
                await asyncio.sleep(0)

    def _message(self, reply: list[Any]) -> bool:
        if reply[0] == b"message":
            key, channel, payload = (False, reply[1]), reply[1], reply[2]
        elif reply[0] == b"pmessage":
            key, channel, payload = (True, reply[1]), reply[2], reply[3]
        else:
            return False
        text = channel.decode(errors="surrogateescape")
        for handler in self._wanted.get(key, ()):
            self._deliver(handler, text, payload)
        return True

    async def _note(self, reply: list[Any]) -> None:
        """A subscription begins or ends, as Redis sees it."""
        pattern = _KINDS.get(reply[0])
        if pattern is None:
            return
        key = (pattern, reply[1])
        if b"un" in reply[0]:
            self._confirmed.discard(key)
            return
        self._confirmed.add(key)
        self._awaited.discard(key)
        async with self._confirmation:
            self._confirmation.notify_all()

    def _check_synced(self, backoff: Backoff) -> None:
        self._awaited &= self._wanted.keys()
        if not self.synced and not self._awaited:
            self.synced = True
            backoff.connected()
            self._on_change(None)
