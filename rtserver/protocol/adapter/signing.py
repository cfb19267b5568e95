"""Signed messages of the cluster, for a Redis that others can write to. No I/O.

    0xC1 "rt1" | time, 8 bytes, ms | nonce, 16 bytes | HMAC-SHA256, 32 bytes | message

The signature is over channel, time, nonce and message. 0xC1 begins neither JSON nor MessagePack, so Node ignores it.
A message is opened once, within `WINDOW` seconds of its time, on the channel that it was signed for, and never by a
process that was not there yet: it could not know whether the one before it has opened it.

A clock that was ahead for longer than `WINDOW` and is put right costs what is under way then. What was signed ahead of
time could be opened once more when that time comes; to refuse it would shut everybody out for as long.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence

from rtserver.protocol.adapter.messages import MalformedMessage

MAGIC = b"\xc1rt1"
WINDOW = 30.0
"""Seconds that the clocks of two instances may be apart, with the way through Redis."""
SKEW = 1.0
"""Seconds before the start of a process from which messages are still taken, as clocks are never quite the same."""
MAX_REMEMBERED = 500_000
"""Messages within the window; beyond that the window gets shorter, and nothing gets in twice."""

_TIME, _NONCE, _MAC = 8, 16, 32
_HEAD = len(MAGIC) + _TIME + _NONCE + _MAC
_CONTEXT = b"rtserver cluster message 1"


class BadSignature(MalformedMessage):
    """The message is not from one of us, or not for now."""


class Seal:
    """`secrets`: the first one signs, all of them verify. One per process, for what it sends and what it gets."""

    def __init__(self, secrets: Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        if not secrets or not all(secrets):
            raise ValueError("a seal needs a secret")
        self._keys = [hmac.new(secret.encode(), _CONTEXT, hashlib.sha256).digest() for secret in secrets]
        self._clock = clock
        self._oldest = clock() - SKEW
        self._began = time.monotonic()
        self._seen = _Seen()

    def __repr__(self) -> str:
        return "Seal()"

    def signed(self, channel: str, message: bytes) -> bytes:
        stamp = int(self._clock() * 1000).to_bytes(_TIME, "big") + secrets.token_bytes(_NONCE)
        return b"".join((MAGIC, stamp, _mac(self._keys[0], stamp, channel, message), message))

    def opened(self, channel: str, payload: bytes) -> bytes:
        """The message; raises `BadSignature`."""
        if payload[: len(MAGIC)] != MAGIC or len(payload) < _HEAD:
            raise BadSignature("not signed")
        split = len(MAGIC) + _TIME + _NONCE
        stamp, mac, message = payload[len(MAGIC) : split], payload[split:_HEAD], payload[_HEAD:]
        if not any(hmac.compare_digest(_mac(key, stamp, channel, message), mac) for key in self._keys):
            raise BadSignature("wrong signature")
        sent, now = int.from_bytes(stamp[:_TIME], "big") / 1000, self._clock()
        if abs(now - sent) > WINDOW:
            raise BadSignature("too old, or the clocks differ")
        # Only as long as that could be within the window: the clock may have been wrong at the start.
        if sent < self._oldest and time.monotonic() - self._began < WINDOW:
            raise BadSignature("from before the start")
        if not self._seen.add(stamp[_TIME:], sent, now):
            raise BadSignature("seen before")
        return message


class _Seen:
    """The nonces of the window, by the second that they are from."""

    def __init__(self) -> None:
        self._by_second: dict[int, set[bytes]] = {}
        self._count = 0
        self._forgotten = 0
        """Up to this second nothing is remembered, so nothing is taken."""

    def add(self, nonce: bytes, sent: float, now: float) -> bool:
        second = int(sent)
        if self._forgotten > now + WINDOW:  # only a clock that was set back leads there
            self._forgotten = int(now)
        if second <= self._forgotten:
            return False
        nonces = self._by_second.get(second)
        if nonces is None:
            self._forget_before(now - WINDOW - 1)
            nonces = self._by_second[second] = set()
        if nonce in nonces:
            return False
        nonces.add(nonce)
        self._count += 1
        if self._count > MAX_REMEMBERED and len(self._by_second) > 1:
            self._drop(min(self._by_second))
        return True

    def _forget_before(self, time: float) -> None:
        for second in [second for second in self._by_second if second < int(time)]:
            self._drop(second)

    def _drop(self, second: int) -> None:
        self._count -= len(self._by_second.pop(second))
        self._forgotten = max(self._forgotten, second)


def _mac(key: bytes, stamp: bytes, channel: str, message: bytes) -> bytes:
    name = channel.encode(errors="surrogateescape")
    return hmac.digest(key, b"".join((stamp, len(name).to_bytes(4, "big"), name, message)), "sha256")
