"""Message delivery: from a Redis subscription to its handlers.

1. A message that is too large, not validly signed or malformed is rejected and counted.
2. An exception of a handler is logged and counted; it ends neither the other handlers nor the subscription.
3. Whoever sent a rejected message does not hear of it, so the log does: once per reason and sender (`RefusalLog`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from rtserver.cluster.redis.senders import sender_of
from rtserver.cluster.redis.subscriber import Handler
from rtserver.protocol.adapter import MalformedMessage, Misaddressed
from rtserver.protocol.adapter.signing import MAGIC, BadSignature, Seal
from rtserver.telemetry.refusal_log import RefusalLog

log = structlog.get_logger("rtserver.cluster")

_SIGNED = "it is signed, and this server has no RTSERVER_CLUSTER_SECRET"


class MessageDelivery:
    """`reject(code)` counts a rejected message; with `seal`, only messages that it verifies are delivered.

    `max_message` is in bytes. Called for each message, so it is a callable object without state per message.
    """

    def __init__(self, reject: Callable[[str], None], address: str, max_message: int, seal: Seal | None) -> None:
        self._reject, self._address = reject, address
        self._max_message = max_message
        self._seal = seal
        self._refusals = RefusalLog(log)

    def __call__(self, handlers: Sequence[Handler], channel: str, payload: bytes) -> None:
        if len(payload) > self._max_message:
            self._reject("cluster_message")
            self._note("cluster_message_refused", f"larger than {self._max_message} bytes", channel, payload)
            return
        if self._seal is not None:
            try:
                payload = self._seal.verify(channel, payload)
            except BadSignature as error:
                self._reject("cluster_signature")
                self._note("cluster_signature_refused", str(error), channel, payload)
                return
        for handler in handlers:
            try:
                handler(channel, payload)
            except MalformedMessage as error:
                if not isinstance(error, Misaddressed):
                    self._reject("cluster_message")
                signed = payload.startswith(MAGIC) and self._seal is None
                self._note("cluster_message_refused", _SIGNED if signed else str(error), channel, payload)
            except Exception:
                self._reject("cluster_handler")
                log.exception("cluster_handler_failed", channel=channel)

    def _note(self, event: str, reason: str, channel: str, payload: bytes) -> None:
        self._refusals.note(event, reason, sender_of(channel, payload), redis=self._address)
