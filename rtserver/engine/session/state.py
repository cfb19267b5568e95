"""Engine state: what the sessions, transports and handshakes of one engine share."""

from __future__ import annotations

import math

import structlog

from rtserver.engine.http.cookie_binding import CookieBinding
from rtserver.engine.session.backpressure import Backpressure
from rtserver.engine.session.cork import Cork
from rtserver.engine.session.fair_queue import FairQueue
from rtserver.engine.session.interfaces import EngineMetrics, IdleConnection
from rtserver.engine.session.options import EngineOptions
from rtserver.engine.session.registry import SessionRegistry
from rtserver.stall import Stalls
from rtserver.timer_wheel import Wheel

log = structlog.get_logger("rtserver.engine")


class EngineState:
    """Implements `EngineContext`."""

    __slots__ = (
        "backpressure", "binding", "cork", "fair_queue", "gzip_threshold", "heartbeat_timeout", "idle_connections",
        "idle_wheel", "max_packets", "max_payload", "metrics", "options", "path", "ping_interval", "ping_timeout",
        "sessions", "stalls", "wheel",
    )  # fmt: skip

    def __init__(self, options: EngineOptions, metrics: EngineMetrics, idle_tick: float) -> None:
        """`idle_tick`: the resolution of idle timeouts, in seconds."""
        self.options = options
        self.metrics = metrics
        # Copies of options that are read for each message, one attribute lookup away.
        self.ping_interval = options.ping_interval
        self.ping_timeout = options.ping_timeout
        self.heartbeat_timeout = options.ping_interval + options.ping_timeout
        self.max_payload = options.max_payload
        self.max_packets = options.max_packets
        self.gzip_threshold: float = options.compression_threshold if options.http_compression else math.inf
        """Bytes from which the answer to a poll is compressed."""
        self.binding = None if options.identity_cookie is None else CookieBinding(options.identity_cookie)
        """Binds sessions to the visitor's cookie, where one identifies visitors."""
        self.sessions = SessionRegistry()
        self.idle_connections: set[IdleConnection] = set()
        self.stalls = Stalls()
        tick = min(0.1, max(0.005, min(options.ping_interval, options.ping_timeout) / 20))
        self.wheel = Wheel(tick, on_late=self.stalls.note)
        """Timers of sessions: heartbeats, closing, upgrades."""
        self.backpressure = Backpressure(self.wheel, options.outbox_limit, options.outbox_total)
        self.idle_wheel = Wheel(idle_tick)
        """Timers of idle connections, which may be late by seconds."""
        self.cork = Cork()
        self.fair_queue = FairQueue()
        self.path = ""
        """The URL path of the Engine.IO endpoint, with slashes at both ends; set by `Engine.attach`."""

    def handshake_rejected(self) -> None:
        """Count a request that was refused."""
        self.metrics.rejected("handshake")

    def slow_client(self, public_id: str) -> None:
        self.metrics.slow_clients += 1
        log.warning("slow_client_closed", session=public_id)

    def volatile_dropped(self) -> None:
        self.metrics.dropped("volatile")

    def payload_rejected(self, public_id: str, reason: str) -> None:
        self.metrics.rejected("payload")
        log.info("payload_rejected", session=public_id, reason=reason)

    def close(self) -> None:
        """Close the connections that belong to no session, and stop all timers."""
        self.fair_queue.close()
        for connection in list(self.idle_connections):
            connection.close()
        self.idle_wheel.close()
        self.wheel.close()
