"""Message signing, for a Redis that others can write to. No I/O.

    0xC1 "rt1" | time, 8 bytes, ms | nonce, 16 bytes | HMAC-SHA256, 32 bytes | message

1. The signature is over channel, time, nonce and message. Neither JSON nor MessagePack begins with 0xC1, so Node
   ignores a signed message.
2. A message is accepted once, within `WINDOW` seconds of its time, on the channel that it was signed for. A process
   accepts none from before its start: it cannot know whether its predecessor has accepted it.
3. When a clock was ahead for longer than `WINDOW` and is corrected, the messages in transit are lost. A message signed
   with a time ahead could be accepted once more when that time comes; to prevent that, all messages would have to be
   rejected until then.
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
"""Seconds that the clocks of two instances may differ, the time in transit included."""
SKEW = 1.0
"""Seconds before the start of a process from which messages are still accepted, since clocks always differ a little."""
MAX_REMEMBERED = 500_000
"""Nonces within the window. Beyond that the window becomes shorter; no message is accepted twice."""

_TIME, _NONCE, _MAC = 8, 16, 32
_HEAD = len(MAGIC) + _TIME + _NONCE + _MAC
_CONTEXT = b"rtserver cluster message 1"


class BadSignature(MalformedMessage):
    """The message is not signed with our secret, or was signed for another time or channel, or was accepted before."""


class Seal:
    """Signs and verifies messages; one per process. `secrets`: the first one signs, all of them verify."""

    def __init__(self, secrets: Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        if not secrets or not all(secrets):
            raise ValueError("a seal needs a secret")
        self._keys = [hmac.new(secret.encode(), _CONTEXT, hashlib.sha256).digest() for secret in secrets]
        self._clock = clock
        self._oldest = clock() - SKEW
        self._began = time.monotonic()
        self._seen = _SeenNonces()

    def __repr__(self) -> str:
        return "Seal()"

    def sign(self, channel: str, message: bytes) -> bytes:
        """Return the signed message."""
        stamp = int(self._clock() * 1000).to_bytes(_TIME, "big") + secrets.token_bytes(_NONCE)
        return b"".join((MAGIC, stamp, _mac(self._keys[0], stamp, channel, message), message))

    def verify(self, channel: str, payload: bytes) -> bytes:
        """Return the message without its signature; raises `BadSignature`."""
        if payload[: len(MAGIC)] != MAGIC or len(payload) < _HEAD:
            raise BadSignature("not signed")
        split = len(MAGIC) + _TIME + _NONCE
        stamp, mac, message = payload[len(MAGIC) : split], payload[split:_HEAD], payload[_HEAD:]
        if not any(hmac.compare_digest(_mac(key, stamp, channel, message), mac) for key in self._keys):
            raise BadSignature("wrong signature")
        sent, now = int.from_bytes(stamp[:_TIME], "big") / 1000, self._clock()
        if abs(now - sent) > WINDOW:
            raise BadSignature("too old, or the clocks differ")
        # Only while such a message could be within the window: the clock may have been wrong at the start.
        if sent < self._oldest and time.monotonic() - self._began < WINDOW:
            raise BadSignature("from before the start")
        if not self._seen.add(stamp[_TIME:], sent, now):
            raise BadSignature("seen before")
        return message


class _SeenNonces:
    """The nonces of the window, by the second of their message."""

    def __init__(self) -> None:
        self._by_second: dict[int, set[bytes]] = {}
        self._count = 0
        self._forgotten = 0
        """Nonces up to this second are forgotten, so no message from then is accepted."""

    def add(self, nonce: bytes, sent: float, now: float) -> bool:
        """Remember a nonce; return False if it was seen, or is too old to tell. Times are in seconds."""
        second = int(sent)
        if self._forgotten > now + WINDOW:  # possible only after the clock was set back
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
