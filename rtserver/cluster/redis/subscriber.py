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
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NoReturn

import structlog
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from rtserver.cluster.redis.connection import FAILURES, Backoff, Connect, closed, opened, sever
from rtserver.cluster.redis.resp_protocol import NO_TURN, RespProtocol, pack

log = structlog.get_logger("rtserver.redis")

PATIENCE = 3

Handler = Callable[[str, bytes], None]
"""Called with channel and payload. Synchronous, so that messages are handled in order."""

Kind = Literal["", "P", "S"]
"""A channel, a pattern (PSUBSCRIBE) or a sharded channel (SSUBSCRIBE)."""

_Key = tuple[Kind, bytes]

_MESSAGES: dict[Kind, bytes] = {"": b"message", "P": b"pmessage", "S": b"smessage"}
_BEGINNINGS: dict[bytes, Kind] = {b"subscribe": "", b"psubscribe": "P", b"ssubscribe": "S"}
_ENDS: dict[bytes, Kind] = {b"unsubscribe": "", b"punsubscribe": "P", b"sunsubscribe": "S"}


class Subscriber:
    """`deliver(handlers, channel, payload)` guards the handlers; `on_change(error)`: synced, or why not."""

    def __init__(
        self,
        connect: Connect,
        *,
        deliver: Callable[[Sequence[Handler], str, bytes], None],
        on_change: Callable[[BaseException | None], None],
        ping_every: float = 1.5,
    ) -> None:
        self._connect = connect
        self._deliver, self._on_change = deliver, on_change
        self._ping_every = ping_every
        self._wanted: dict[_Key, tuple[Handler, ...]] = {}
        self._handlers: dict[bytes, dict[bytes, tuple[Handler, ...]]] = {kind: {} for kind in _MESSAGES.values()}
        """The same, as a message asks for them."""
        self._touched: dict[_Key, None] = {}
        self._asked: set[_Key] = set()
        self._ending: Counter[_Key] = Counter()
        self._confirmed: set[_Key] = set()
        self._awaited: set[_Key] = set()
        self._changed = asyncio.Event()
        self._waiting: dict[_Key, list[asyncio.Future[None]]] = {}
        self._unanswered = 0
        self._connection: Connection | None = None
        self._backoff = Backoff()
        self.turn: AbstractContextManager[None] = NO_TURN
        """What comes at a time is handled within it."""
        self.synced = False

    def subscribe(self, name: str, handler: Handler, kind: Kind = "") -> None:
        key = (kind, name.encode())
        self._want(key, (*self._wanted.get(key, ()), handler))

    def unsubscribe(self, name: str, handler: Handler, kind: Kind = "") -> None:
        key = (kind, name.encode())
        self._want(key, tuple(kept for kept in self._wanted.get(key, ()) if kept != handler))

    def _want(self, key: _Key, handlers: tuple[Handler, ...]) -> None:
        kind, name = key
        if handlers:
            self._wanted[key] = self._handlers[_MESSAGES[kind]][name] = handlers
        else:
            self._wanted.pop(key, None)
            self._handlers[_MESSAGES[kind]].pop(name, None)
            self._awaited.discard(key)
        self._touched[key] = None
        self._changed.set()

    async def wait_confirmed(self, name: str, timeout: float, kind: Kind = "") -> bool:
        """Whether Redis has confirmed the subscription to channel `name`, within `timeout` seconds."""
        key = (kind, name.encode())
        if key in self._confirmed:
            return True
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(confirmed)
        try:
            async with asyncio.timeout(timeout):
                await confirmed
        except TimeoutError:
            return False
        finally:
            self._forget(key, confirmed)
        return True

    def _forget(self, key: _Key, confirmed: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key, [])
        if confirmed in waiting:
            waiting.remove(confirmed)
        if not waiting:
            self._waiting.pop(key, None)

    def leave(self) -> None:
        """Give this connection up and make a new one."""
        if self._connection is not None:
            sever(self._connection)

    async def run(self) -> None:
        """Connect, subscribe, listen, and start over when that fails; ends only by cancellation."""
        while True:
            error = await self._one_connection()
            self._on_change(error)
            await asyncio.sleep(self._backoff.pause())

    async def _one_connection(self) -> BaseException:
        connection = None
        try:
            self._connection = connection = await opened(self._connect)
            await self._listen(connection)
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

    async def _listen(self, connection: Connection) -> NoReturn:
        self._unanswered = 0
        self._asked.clear()
        self._ending.clear()
        self._touched = dict.fromkeys(self._wanted)
        self._awaited = set(self._wanted)
        pipe = RespProtocol(connection, self._take, turn=self.turn)
        self._check_synced()
        keeping = asyncio.create_task(self._keep(pipe))
        try:
            await asyncio.wait((keeping, pipe.lost), return_when=asyncio.FIRST_COMPLETED)
            for ended in (keeping, pipe.lost):
                if ended.done():
                    ended.result()
        finally:
            keeping.cancel()
            await asyncio.wait((keeping,))
        raise AssertionError("neither of them returns")

    async def _keep(self, pipe: RespProtocol) -> NoReturn:
        """Bring Redis's subscriptions in line with what is wanted, and see that it lives."""
        now = asyncio.get_running_loop().time
        due = now() + self._ping_every
        while True:
            self._changed.clear()
            self._align(pipe)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            if now() >= due:
                if self._unanswered >= PATIENCE:
                    raise TimeoutError("Redis does not answer")
                self._unanswered += 1
                pipe.write(pack(("PING",)))
                due = now() + self._ping_every

    def _align(self, pipe: RespProtocol) -> None:
        touched, self._touched = self._touched, {}
        new = [key for key in touched if key in self._wanted and key not in self._asked]
        old = [key for key in touched if key not in self._wanted and key in self._asked]
        self._asked.update(new)
        self._asked.difference_update(old)
        self._ending.update(old)
        # One channel in each command, since those of one command must be of one slot in a Redis Cluster.
        commands = [pack((f"{kind}SUBSCRIBE", name)) for kind, name in new]
        commands += [pack((f"{kind}UNSUBSCRIBE", name)) for kind, name in old]
        if commands:
            pipe.write(b"".join(commands))

    def _take(self, reply: Any) -> None:
        self._unanswered = 0
        if isinstance(reply, list) and len(reply) >= 3:
            wanted = self._handlers.get(reply[0])
            if wanted is None:
                self._note(reply)
            elif handlers := wanted.get(reply[1]):
                self._deliver(handlers, reply[-2].decode("utf-8", "surrogateescape"), reply[-1])
        elif isinstance(reply, ResponseError):
            raise reply
        if not self.synced:
            self._check_synced()

    def _note(self, reply: list[Any]) -> None:
        """A subscription begins or ends, as Redis sees it."""
        if (kind := _ENDS.get(reply[0])) is not None:
            self._note_end((kind, reply[1]))
        elif (kind := _BEGINNINGS.get(reply[0])) is not None:
            key: _Key = (kind, reply[1])
            self._confirmed.add(key)
            self._awaited.discard(key)
            for confirmed in self._waiting.pop(key, ()):
                if not confirmed.done():
                    confirmed.set_result(None)

    def _note_end(self, key: _Key) -> None:
        self._confirmed.discard(key)
        if self._ending[key] > 1:
            self._ending[key] -= 1
        elif self._ending.pop(key, 0) == 0 and key in self._asked:
            raise RedisConnectionError("a channel has moved to another node")  # nobody asked for this end

    def _check_synced(self) -> None:
        if not self.synced and not self._awaited:
            self.synced = True
            self._backoff.connected()
            self._on_change(None)
