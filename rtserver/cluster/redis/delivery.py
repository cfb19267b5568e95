"""A message from Redis on its way to its handlers: what may not get in is counted, and no handler's fault spreads.

Messages that nobody of the cluster has signed are logged once as long as they go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from rtserver.cluster.redis.subscriber import Handler
from rtserver.protocol.adapter import MalformedMessage
from rtserver.protocol.adapter.signing import BadSignature, Seal

log = structlog.get_logger("rtserver.cluster")

QUIET = 60.0
"""Seconds without a bad signature after which the next one is news."""


class MessageDelivery:
    """`reject(code)` counts; `seal`: only what it opens is delivered."""

    def __init__(self, reject: Callable[[str], None], address: str, max_message: int, seal: Seal | None) -> None:
        self._reject, self._address = reject, address
        self._max_message = max_message
        self._seal = seal
        self._last_forgery = -QUIET

    def __call__(self, handlers: Sequence[Handler], channel: str, payload: bytes) -> None:
        if len(payload) > self._max_message:
            self._reject("cluster_message")
            return
        if self._seal is not None:
            try:
                payload = self._seal.opened(channel, payload)
            except BadSignature as error:
                self._note_forgery(channel, str(error))
                return
        for handler in handlers:
            try:
                handler(channel, payload)
            except MalformedMessage as error:
                self._reject("cluster_message")
                log.debug("cluster_message_refused", channel=channel, reason=str(error))
            except Exception:
                self._reject("cluster_handler")
                log.exception("cluster_handler_failed", channel=channel)

    def _note_forgery(self, channel: str, reason: str) -> None:
        self._reject("cluster_signature")
        now = time.monotonic()
        if now - self._last_forgery >= QUIET:
            log.warning("cluster_signature_refused", redis=self._address, channel=channel[:200], reason=reason)
        self._last_forgery = now
