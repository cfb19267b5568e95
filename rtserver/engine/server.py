"""Our engineio.AsyncServer: sessions, and the HTTP requests that open, poll, feed and upgrade them.

The surface of python-engineio that python-socketio and applications use stays; its transports are not used. Requests
are checked in Node's order and answered with Node's statuses (`engine.io` 6.6, `Server.verify`).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import engineio
import structlog
from aiohttp import web

from rtserver.engine.handshake import Handshaker, revision_of
from rtserver.engine.http import responses
from rtserver.engine.http.cors import OriginPolicy
from rtserver.engine.http.responses import Answer, Refusal
from rtserver.engine.http.takeover import keep, may_keep, wants_websocket
from rtserver.engine.runner import ENGINE
from rtserver.engine.session.cork import Cork
from rtserver.engine.session.interfaces import EngineMetrics, IdleConnection, PeerWorkers, Reason, SessionListener
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.engine.transports.polling import Polling
from rtserver.protocol import json
from rtserver.timer_wheel import Wheel

log = structlog.get_logger("rtserver.engine")

IDLE_TICK = 5.0

AllowRequest = Callable[[web.Request], Awaitable[bool | str | None]]


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # engineio is untyped
    """Beyond python-engineio's options: `outbox_limit`, bytes that may wait for a client; `max_packets` of one POST;
    `allow_eio3`, for Socket.IO v2 clients; `allow_request`, which sees each handshake and refuses it by returning
    False or a text; `per_message_deflate`, to compress WebSocket messages from `compression_threshold` bytes on.
    """

    def __init__(
        self,
        upper: SessionListener,
        counting: EngineMetrics,
        instance_id: str = "",
        outbox_limit: int = 1_048_576,
        max_packets: int = 10_000,
        allow_eio3: bool = False,
        allow_request: AllowRequest | None = None,
        keep_connections: bool = False,
        per_message_deflate: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sockets: dict[str, Session] = {}
        self.outbox_limit = outbox_limit
        self.max_packets = max_packets
        self.max_payload: int = self.max_http_buffer_size
        self.patience = self.ping_interval + self.ping_timeout
        self.wheel = Wheel(min(0.1, max(0.005, min(self.ping_interval, self.ping_timeout) / 20)))
        self.upper = upper
        self._counting = counting
        self._instance_id = instance_id
        self.allow_eio3 = allow_eio3
        self.allow_request = allow_request
        self.per_message_deflate = per_message_deflate
        self.origins = OriginPolicy(self.cors_allowed_origins, self.cors_credentials)
        self._polling = Polling(self)
        self.opening = Handshaker(self, self._polling)
        self._lingering: dict[str, Session] = {}
        self.idle_wheel = Wheel(IDLE_TICK)
        self.accepting = True
        """Set it to False to open no more sessions."""
        self.yielding = False
        """Set it to True to have new sessions opened `elsewhere`, as long as somebody there does."""
        self.elsewhere: PeerWorkers | None = None
        self.path = ""
        self.kept: set[IdleConnection] = set()
        self.keep_always = keep_connections
        self.turns = Cork()
        self._open_sockets = 0

    # Requests.

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        self.path = f"/{engineio_path.strip('/')}/"
        app.router.add_route("*", self.path, self.handle_request)
        app[ENGINE] = self

    @property
    def needs_request(self) -> bool:
        """Whether somebody asks for more of a handshake than `Asked` has."""
        return self.origins.needs_request or self.upper.needs_request

    async def handle_request(self, request: web.Request) -> Answer:
        """Answer a request of any kind; also for those who mount the server by hand."""
        headers: dict[str, str] = {}
        try:
            if request.method == "OPTIONS":
                return web.Response(status=204, headers=self.origins.preflight(request))
            headers = self.origins.headers(request)
            answer = await self._answer(request, headers)
        except Refusal as refusal:
            if refusal.code != responses.STOPPING:
                self._counting.rejected("handshake")
            answer = responses.refused_upgrade(refusal) if wants_websocket(request) else responses.refused(refusal)
        except ConnectionResetError:
            # Nobody will read this; to raise it would put a traceback into the log.
            answer = responses.empty(400)
        answer.headers.update(headers)
        if isinstance(answer, web.Response) and _is_plain(answer) and self._is_plain_poll(request):
            return keep(request, answer, self)
        return answer

    def _is_plain_poll(self, request: web.Request) -> bool:
        """Whether later polls on this connection can take the fast path (see `transports.polling_fastpath`)."""
        query = request.query
        plain = query.get("transport") == "polling" and query.get("EIO") == "4" and "j" not in query
        return plain and request.path == self.path and may_keep(request, self.keep_always)

    async def _answer(self, request: web.Request, headers: dict[str, str]) -> Answer:
        transport = request.query.get("transport")
        if transport is None or transport not in self.transports:
            raise Refusal(responses.TRANSPORT_UNKNOWN)
        sid = _sid(request)
        if self.elsewhere is not None and not self._is_here(sid):
            answer = await self.elsewhere(request, sid)
            if answer is not None:
                return answer
        if not sid:
            return await self.opening.handshake(request, transport, headers)
        session = self.sockets.get(sid)
        if session is not None and session.revision != revision_of(request):
            raise Refusal(responses.BAD_REQUEST)
        if wants_websocket(request):
            return self.opening.second_socket(request, session, headers)
        if session is None:
            return await self._late(request, sid)
        if session.transport != transport:
            raise Refusal(responses.BAD_REQUEST)
        if request.method == "GET":
            return await self._polling.get(session, request)
        if request.method == "POST":
            return await self._polling.post(session, request)
        raise Refusal(responses.BAD_METHOD)

    def _is_here(self, sid: str | None) -> bool:
        if sid:
            return sid in self.sockets or sid in self._lingering
        return self.accepting and not self.yielding

    async def _late(self, request: web.Request, sid: str) -> Answer:
        """A session that was closed while no poll was there tells so to the next one.

        A POST that comes before is taken, and leads to nothing: who is refused one never polls again.
        """
        session = self._lingering.get(sid) if request.method in ("GET", "POST") else None
        if session is None:
            self._unknown(sid)
            raise Refusal(responses.SESSION_UNKNOWN)
        if request.method == "POST":
            return await self._polling.post(session, request)
        self.bury(session)
        return await self._polling.get(session, request)

    def _unknown(self, sid: str) -> None:
        instance = sid.partition("-")[0]
        if instance != self._instance_id:
            log.info("session_of_another_instance", instance=instance[:16], hint="sticky sessions: docs/deploy.md")

    # What sessions report.

    def forget(self, session: Session) -> None:
        self.sockets.pop(session.id, None)

    def linger(self, session: Session) -> None:
        """Closed, with something left for the next poll."""
        self._lingering[session.id] = session

    def bury(self, session: Session) -> None:
        self._lingering.pop(session.id, None)
        self.wheel.stop(session)

    def closed_slow(self, session: Session) -> None:
        self._counting.slow_clients += 1
        log.warning("slow_client_closed", session=session.id)
        session.abort(Reason.TRANSPORT_ERROR)

    def dropped_volatile(self) -> None:
        self._counting.dropped("volatile")

    def rejected(self, session: Session, reason: str) -> None:
        self._counting.rejected("payload")
        log.info("payload_rejected", session=session.id, reason=reason)

    # The surface of python-engineio.

    def generate_id(self) -> str:
        """It begins with the instance's id, so that a proxy can route a polling request to its process."""
        sid = secrets.token_urlsafe(15)
        return f"{self._instance_id}-{sid}" if self._instance_id else sid

    def transport(self, sid: str) -> str:
        return self.sockets[sid].transport

    async def send(self, sid: str, data: str | bytes | list[Any] | dict[str, Any]) -> None:
        session = self.sockets.get(sid)
        if session is None:
            return
        if isinstance(data, bytes | bytearray):
            session.push(PreparedMessage.binary(bytes(data)))
        else:
            session.push(PreparedMessage(b"4" + (data.encode() if isinstance(data, str) else json.dumps(data))))

    async def disconnect(self, sid: str | None = None) -> None:
        for session in [self.sockets[sid]] if sid in self.sockets else [] if sid else list(self.sockets.values()):
            session.close(Reason.FORCED_CLOSE)

    def socket_opened(self) -> None:
        self._open_sockets += 1

    def socket_closed(self) -> None:
        self._open_sockets -= 1

    @property
    def quiet(self) -> bool:
        """Whether no session is left, nor anything for the client of one that was closed."""
        return not (self.sockets or self._lingering or self._open_sockets)

    async def shutdown(self) -> None:
        for connection in list(self.kept):
            connection.close()
        self.idle_wheel.close()
        self.wheel.close()


def _sid(request: web.Request) -> str | None:
    """As in Node, two of them are no session; else a proxy might count or route by the one that is not taken here."""
    sids = request.query.getall("sid", [])
    if len(sids) > 1:
        raise Refusal(responses.SESSION_UNKNOWN)
    return sids[0] if sids else None


def _is_plain(answer: web.Response) -> bool:
    return answer.status == 200 and not answer.compression
