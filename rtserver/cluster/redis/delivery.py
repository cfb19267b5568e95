"""Message delivery: from a Redis subscription to its handlers.

1. A message that is too large, not validly signed or malformed is rejected and counted.
2. An exception of a handler is logged and counted; it ends neither the other handlers nor the subscription.
3. Unsigned messages are logged once per episode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from rtserver.cluster.redis.subscriber import Handler
from rtserver.protocol.adapter import MalformedMessage
from rtserver.protocol.adapter.signing import BadSignature, Seal
from rtserver.reconnect import Episodes

log = structlog.get_logger("rtserver.cluster")

QUIET = 60.0
"""Seconds without a bad signature after which the next one is logged again."""


class MessageDelivery:
    """`reject(code)` counts a rejected message; with `seal`, only messages that it verifies are delivered.

    `max_message` is in bytes. Called for each message, so it is a callable object without state per message.
    """

    def __init__(self, reject: Callable[[str], None], address: str, max_message: int, seal: Seal | None) -> None:
        self._reject, self._address = reject, address
        self._max_message = max_message
        self._seal = seal
        self._forgeries = Episodes(QUIET)

    def __call__(self, handlers: Sequence[Handler], channel: str, payload: bytes) -> None:
        if len(payload) > self._max_message:
            self._reject("cluster_message")
            return
        if self._seal is not None:
            try:
                payload = self._seal.verify(channel, payload)
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
        if self._forgeries.is_news():
            log.warning("cluster_signature_refused", redis=self._address, channel=channel[:200], reason=reason)
