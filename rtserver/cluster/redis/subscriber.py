"""Subscriber: all Redis subscriptions of a server, on one connection that reconnects by itself.

Rules:
1. `synced` is set once Redis has confirmed every subscription that was wanted when the connection was opened. A later
   subscription is confirmed by itself (`wait_confirmed`) and does not reset `synced`.
2. No message and no handler can end the subscriber.
3. A connection that leaves `MAX_UNANSWERED_PINGS` PINGs unanswered is dead, whatever TCP reports and however much was
   sent.
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

from rtserver.cluster.redis.connection import FAILURES, Connect, closed, new_backoff, opened, sever
from rtserver.cluster.redis.resp_protocol import NO_CORK, RespProtocol, pack
from rtserver.cluster.redis.rights import RefusedCommand, refusal_of
from rtserver.reconnect import reconnect
from rtserver.tasks import cancelled

log = structlog.get_logger("rtserver.redis")

MAX_UNANSWERED_PINGS = 3

Handler = Callable[[str, bytes], None]
"""Called with channel and payload. Synchronous, so that messages are handled in order."""

Kind = Literal["", "P", "S"]
"""The prefix of the command: "" for a channel, "P" for a pattern, "S" for a sharded channel."""

_Key = tuple[Kind, bytes]

_MESSAGES: dict[Kind, bytes] = {"": b"message", "P": b"pmessage", "S": b"smessage"}
_SUBSCRIBED: dict[bytes, Kind] = {b"subscribe": "", b"psubscribe": "P", b"ssubscribe": "S"}
_UNSUBSCRIBED: dict[bytes, Kind] = {b"unsubscribe": "", b"punsubscribe": "P", b"sunsubscribe": "S"}


class Subscriber:
    """`deliver(handlers, channel, payload)` calls the handlers and never raises because of one.

    `on_change(error)`: synced (None), or no longer, with the reason. `ping_every` is in seconds.
    """

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
        """The same by the kind of message and the channel: one look-up per message."""
        self._to_align: dict[_Key, None] = {}
        self._requested: set[_Key] = set()
        self._ending: Counter[_Key] = Counter()
        self._confirmed: set[_Key] = set()
        self._unconfirmed: set[_Key] = set()
        self._changed = asyncio.Event()
        self._waiters: dict[_Key, list[asyncio.Future[None]]] = {}
        self._pings_unanswered = 0
        self._connection: Connection | None = None
        self._backoff = new_backoff()
        self.cork: AbstractContextManager[None] = NO_CORK
        """Messages that are read together are handled within it; it corks what they cause to be written to clients."""
        self.synced = False

    def subscribe(self, name: str, handler: Handler, kind: Kind = "") -> None:
        """Add a handler. The command leaves in the next iteration of the event loop, and again after reconnects."""
        key = (kind, name.encode())
        self._want(key, (*self._wanted.get(key, ()), handler))

    def unsubscribe(self, name: str, handler: Handler, kind: Kind = "") -> None:
        """Remove a handler; with the last one, the subscription ends."""
        key = (kind, name.encode())
        self._want(key, tuple(kept for kept in self._wanted.get(key, ()) if kept != handler))

    def _want(self, key: _Key, handlers: tuple[Handler, ...]) -> None:
        kind, name = key
        if handlers:
            self._wanted[key] = self._handlers[_MESSAGES[kind]][name] = handlers
        else:
            self._wanted.pop(key, None)
            self._handlers[_MESSAGES[kind]].pop(name, None)
            self._unconfirmed.discard(key)
        self._to_align[key] = None
        self._changed.set()

    async def wait_confirmed(self, name: str, timeout: float, kind: Kind = "") -> bool:
        """Wait up to `timeout` seconds for Redis to confirm the subscription to `name`; return whether it did."""
        key = (kind, name.encode())
        if key in self._confirmed:
            return True
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, []).append(confirmed)
        try:
            async with asyncio.timeout(timeout):
                await confirmed
        except TimeoutError:
            return False
        finally:
            self._remove_waiter(key, confirmed)
        return True

    def _remove_waiter(self, key: _Key, confirmed: asyncio.Future[None]) -> None:
        waiters = self._waiters.get(key, [])
        if confirmed in waiters:
            waiters.remove(confirmed)
        if not waiters:
            self._waiters.pop(key, None)

    def common_channel(self) -> tuple[Kind, str] | None:
        """Return the first channel, which all servers have, with its kind; not a pattern. None where there is none."""
        for kind, name in self._wanted:
            if kind != "P":
                return kind, name.decode()
        return None

    def drop_connection(self) -> None:
        """Close the connection; `run` opens a new one."""
        if self._connection is not None:
            sever(self._connection)

    async def run(self) -> None:
        """Connect, subscribe, read messages, and reconnect after a failure; ends only by cancellation."""
        await reconnect(self._one_connection, self._connection_failed, self._backoff)

    async def _one_connection(self) -> None:
        connection = None
        try:
            self._connection = connection = await opened(self._connect)
            await self._listen(connection)
        finally:
            self.synced = False
            self._connection = None
            self._confirmed.clear()
            if connection is not None:
                await closed(connection)

    def _connection_failed(self, error: Exception) -> None:
        if not isinstance(error, FAILURES):
            log.exception("redis_listener_failed")
        self._on_change(error)

    async def _listen(self, connection: Connection) -> NoReturn:
        self._pings_unanswered = 0
        self._requested.clear()
        self._ending.clear()
        self._to_align = dict.fromkeys(self._wanted)
        self._unconfirmed = set(self._wanted)
        protocol = RespProtocol(connection, self._on_reply, cork=self.cork)
        self._check_synced()
        maintaining = asyncio.create_task(self._maintain(protocol))
        try:
            await asyncio.wait((maintaining, protocol.lost), return_when=asyncio.FIRST_COMPLETED)
            for ended in (maintaining, protocol.lost):
                if ended.done():
                    ended.result()
        finally:
            await cancelled(maintaining)
        raise AssertionError("neither of them returns")

    async def _maintain(self, protocol: RespProtocol) -> NoReturn:
        """Send subscription changes and PINGs for as long as the connection lasts."""
        now = asyncio.get_running_loop().time
        due = now() + self._ping_every
        while True:
            self._changed.clear()
            self._align(protocol)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            if now() >= due:
                if self._pings_unanswered >= MAX_UNANSWERED_PINGS:
                    raise TimeoutError("Redis does not answer")
                self._pings_unanswered += 1
                protocol.write(pack(("PING",)))
                due = now() + self._ping_every

    def _align(self, protocol: RespProtocol) -> None:
        """Send what makes the subscriptions at Redis equal to the wanted ones."""
        changed, self._to_align = self._to_align, {}
        new = [key for key in changed if key in self._wanted and key not in self._requested]
        old = [key for key in changed if key not in self._wanted and key in self._requested]
        self._requested.update(new)
        self._requested.difference_update(old)
        self._ending.update(old)
        # One channel per command: in a Redis Cluster, all channels of a command must be of one slot.
        commands = [pack((f"{kind}SUBSCRIBE", name)) for kind, name in new]
        commands += [pack((f"{kind}UNSUBSCRIBE", name)) for kind, name in old]
        if commands:
            protocol.write(b"".join(commands))

    def _on_reply(self, reply: Any) -> None:
        self._pings_unanswered = 0
        if isinstance(reply, list) and len(reply) >= 3:
            wanted = self._handlers.get(reply[0])
            if wanted is None:
                self._on_confirmation(reply)
            elif handlers := wanted.get(reply[1]):
                self._deliver(handlers, reply[-2].decode("utf-8", "surrogateescape"), reply[-1])
        elif isinstance(reply, ResponseError):
            self._on_error(reply)
        if not self.synced:
            self._check_synced()

    def _on_confirmation(self, reply: list[Any]) -> None:
        """Note that Redis has begun or ended a subscription."""
        if (kind := _UNSUBSCRIBED.get(reply[0])) is not None:
            self._on_unsubscribed((kind, reply[1]))
        elif (kind := _SUBSCRIBED.get(reply[0])) is not None:
            key: _Key = (kind, reply[1])
            self._confirmed.add(key)
            self._unconfirmed.discard(key)
            for confirmed in self._waiters.pop(key, ()):
                if not confirmed.done():
                    confirmed.set_result(None)

    def _on_error(self, error: ResponseError) -> NoReturn:
        """End the connection. Redis answers in order, so it is the first unconfirmed subscription that it refuses."""
        kind, name = next((key for key in self._wanted if key not in self._confirmed), ("", b""))
        channel = name.decode("utf-8", "surrogateescape")
        refusal = refusal_of(error, f"{kind}SUBSCRIBE" if name else "PING", channel)
        raise error if refusal is None else RefusedCommand(refusal)

    def _on_unsubscribed(self, key: _Key) -> None:
        self._confirmed.discard(key)
        if self._ending[key] > 1:
            self._ending[key] -= 1
        elif self._ending.pop(key, 0) == 0 and key in self._requested:
            raise RedisConnectionError("a channel has moved to another node")  # we did not unsubscribe

    def _check_synced(self) -> None:
        if not self.synced and not self._unconfirmed:
            self.synced = True
            self._backoff.connected()
            self._on_change(None)
