"""Engine.IO server: python-engineio's `AsyncServer` with sessions and transports of rtserver.

The surface of python-engineio that python-socketio and applications use is kept; its transports are not used. HTTP
requests are checked in Node's order and answered with Node's statuses (`engine.io` 6.6, `Server.verify`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

import engineio
import structlog
from aiohttp import web

from rtserver.engine.handshake import Handshaker, SessionListener
from rtserver.engine.http import responses
from rtserver.engine.http.cors import OriginPolicy
from rtserver.engine.http.request import is_at, revision_of, wants_websocket
from rtserver.engine.http.responses import Answer, Refusal
from rtserver.engine.http.takeover import can_take_over
from rtserver.engine.http.websocket_handshake import HandleProtocols
from rtserver.engine.runner import FAST_PATH, FastPath
from rtserver.engine.session.interfaces import EngineMetrics, PeerWorkers, Reason
from rtserver.engine.session.options import AllowRequest, EngineOptions
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.engine.session.state import EngineState
from rtserver.engine.transports.polling import Polling
from rtserver.engine.transports.polling_fastpath import keep_connection
from rtserver.protocol import json
from rtserver.protocol.addresses import TrustedPeers
from rtserver.protocol.header_lists import joined

log = structlog.get_logger("rtserver.engine")

IDLE_TICK = 5.0


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # engineio is untyped
    """Routes Engine.IO requests, and offers python-engineio's methods.

    `options` are the fields of `EngineOptions` and python-engineio's constructor arguments, of which `async_handlers`,
    `json`, `logger` and `monitor_clients` are its own business.
    """

    def __init__(
        self,
        listener: SessionListener,
        metrics: EngineMetrics,
        instance_id: str = "",
        outbox_limit: int = 1_048_576,
        outbox_total: int = 268_435_456,
        max_packets: int = 10_000,
        allow_eio3: bool = False,
        allow_request: AllowRequest | None = None,
        handle_protocols: HandleProtocols | None = None,
        identity_cookie: str | None = None,
        keep_connections: bool = False,
        per_message_deflate: bool = False,
        trusted_proxies: Iterable[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._instance_id = instance_id
        self.options = EngineOptions(
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            max_payload=self.max_http_buffer_size,
            max_packets=max_packets,
            outbox_limit=outbox_limit,
            outbox_total=outbox_total,
            transports=self.transports,
            allow_upgrades=self.allow_upgrades,
            allow_eio3=allow_eio3,
            allow_request=allow_request,
            handle_protocols=handle_protocols,
            cookie=self.cookie,
            identity_cookie=identity_cookie,
            http_compression=self.http_compression,
            per_message_deflate=per_message_deflate,
            compression_threshold=self.compression_threshold,
            keep_connections=keep_connections,
        )
        self._state = EngineState(self.options, metrics, IDLE_TICK)
        self._sessions = self._state.sessions
        allowed = self.cors_allowed_origins
        if not isinstance(allowed, OriginPolicy):
            allowed = OriginPolicy(allowed, self.cors_credentials, trusted=TrustedPeers(trusted_proxies))
        self._origins = allowed
        self._polling = Polling(self._state)
        self._listener = listener
        # Not the bound method: an application may replace it.
        self._handshaker = Handshaker(self._state, self._origins, self._polling, listener, lambda: self.generate_id())
        self.sockets: dict[str, Session] = self._sessions.open
        """The open sessions by their ids, under python-engineio's name."""
        self.wheel = self._state.wheel
        """The timers of all sessions."""
        self.stalls = self._state.stalls
        """When this process did not run."""
        self.cork = self._state.cork
        self.peer_workers: PeerWorkers | None = None
        """Set before the first request, where several processes serve one port."""

    # HTTP requests.

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Serve Engine.IO under this path of the application, with and without a slash at its end; before it starts."""
        if not isinstance(app, web.Application):
            raise TypeError(f"an aiohttp.web.Application is needed, not a value of the type {type(app).__qualname__}")
        path = f"/{engineio_path.strip('/')}/" if engineio_path.strip("/") else "/"
        self._state.path = path
        for served in dict.fromkeys((path, path.removesuffix("/") or "/")):
            app.router.add_route("*", served, self.handle_request)
        app[FAST_PATH] = FastPath(self._state, self._handshaker)

    @property
    def needs_request(self) -> bool:
        """Whether a handshake needs aiohttp's request, so that the fast path cannot answer it."""
        return self._handshaker.needs_request

    async def handle_request(self, request: web.Request) -> Answer:
        """Answer a request of any kind; also for applications that add the route themselves."""
        headers: dict[str, str] = {}
        try:
            if request.method == "OPTIONS":
                return web.Response(status=204, headers=self._origins.preflight(request))
            headers = self._origins.headers(request)
            answer = await self._answer(request, headers)
        except Refusal as refusal:
            if refusal.code != responses.STOPPING:
                self._state.handshake_rejected()
            answer = responses.refused_upgrade(refusal) if wants_websocket(request) else responses.refused(refusal)
        except web.HTTPException as raised:
            raised.headers.update(headers)
            raise
        except ConnectionResetError:
            # The client has disconnected. If this were raised, aiohttp would log a traceback.
            answer = responses.empty(400)
        except Exception:
            if not headers:
                raise
            # A page learns nothing of a failure whose response it may not read.
            log.exception("request_failed")
            answer = responses.empty(500)
        answer.headers.update(headers)
        if isinstance(answer, web.Response) and self._may_keep_connection(request, answer):
            return keep_connection(request, answer, self._state)
        return answer

    def _may_keep_connection(self, request: web.Request, answer: web.Response) -> bool:
        """Whether later polls on this connection can take the fast path."""
        if answer.status != 200 or answer.compression:
            return False
        query = request.query
        plain = query.get("transport") == "polling" and query.get("EIO") == "4" and "j" not in query
        return plain and is_at(self._state.path, request.path) and can_take_over(request, self.options.keep_connections)

    async def _answer(self, request: web.Request, headers: dict[str, str]) -> Answer:
        transport = request.query.get("transport")
        if transport is None or transport not in self.options.transports:
            raise Refusal(responses.TRANSPORT_UNKNOWN)
        sid = _sid(request)
        if "j" in request.query and transport == "polling":
            self._check_jsonp(request)
        if self.peer_workers is not None and not (self._sessions.knows(sid) if sid else self._sessions.opens_here):
            answer = await self.peer_workers(request, sid)
            if answer is not None:
                return answer
        if not sid:
            return await self._handshaker.handshake(request, transport, headers)
        if self._state.binding is not None and not self._state.binding.admits(sid, joined(request.headers, "Cookie")):
            await self._check_user(sid, request)
        session = self.sockets.get(sid)
        if session is not None and session.revision != revision_of(request):
            raise Refusal(responses.BAD_REQUEST)
        if wants_websocket(request):
            return self._handshaker.upgrade(request, session, headers)
        if session is None:
            return await self._answer_lingering(request, sid)
        if session.transport != transport:
            raise Refusal(responses.BAD_REQUEST)
        if request.method == "GET":
            return await self._polling.get(session, request)
        if request.method == "POST":
            return await self._polling.post(session, request)
        raise Refusal(responses.BAD_METHOD)

    def _check_jsonp(self, request: web.Request) -> None:
        """Raises `Refusal`: no client of revision 4 uses JSONP, and a script element adds the cookie by itself."""
        if revision_of(request) == 4:
            raise Refusal(responses.BAD_REQUEST)
        if self._state.binding is not None:
            raise Refusal(responses.FORBIDDEN)

    async def _check_user(self, sid: str, request: web.Request) -> None:
        """Admit another cookie of the same user: sites renew it while the page is open. Raises `Refusal`."""
        session = self.sockets.get(sid)
        if session is None or not await self._listener.recognizes(session, request):
            raise Refusal(responses.SESSION_UNKNOWN)

    async def _answer_lingering(self, request: web.Request, sid: str) -> Answer:
        """Answer a request of a session that ended while no poll was there: the next poll receives its last packets.

        A POST before that poll is accepted and has no effect: a client whose POST is refused does not poll again.
        """
        session = self._sessions.lingering.get(sid) if request.method in ("GET", "POST") else None
        if session is None:
            self._log_unknown(sid)
            raise Refusal(responses.SESSION_UNKNOWN)
        if request.method == "POST":
            return await self._polling.post(session, request)
        session.stop_lingering()
        return await self._polling.get(session, request)

    def _log_unknown(self, sid: str) -> None:
        # Of an id without the name of an instance nothing is logged: it may be that of a live session elsewhere.
        instance = sid.rpartition("-")[0].partition("-")[0]
        if instance != self._instance_id:
            log.info("session_of_another_instance", instance=instance[:16], hint="sticky sessions: docs/deploy.md")

    # The methods of python-engineio.

    def generate_id(self) -> str:
        """Return a new session id. It begins with the instance's id, so that a proxy can route polling requests."""
        sid = secrets.token_urlsafe(15)
        return f"{self._instance_id}-{sid}" if self._instance_id else sid

    def transport(self, sid: str) -> str:
        """Return "polling" or "websocket"; raises `KeyError` for an unknown session."""
        return self.sockets[sid].transport

    async def send(self, sid: str, data: str | bytes | list[Any] | dict[str, Any]) -> None:
        """Send one message; a list or dict goes as JSON. An unknown session is ignored."""
        session = self.sockets.get(sid)
        if session is None:
            return
        if isinstance(data, bytes | bytearray):
            session.push(PreparedMessage.binary(bytes(data)))
        else:
            session.push(PreparedMessage(b"4" + (data.encode() if isinstance(data, str) else json.dumps(data))))

    async def disconnect(self, sid: str | None = None) -> None:
        """Close one session, or all of them."""
        for session in [self.sockets[sid]] if sid in self.sockets else [] if sid else list(self.sockets.values()):
            session.close(Reason.FORCED_CLOSE)

    def on(self, event: str, handler: Any = None) -> Any:
        """Register a handler, once for each event, as python-socketio does; others would not be called.

        Raises `NotImplementedError` for those.
        """
        if handler is None or event in self.handlers:
            raise NotImplementedError("events of Engine.IO are not passed to applications: use those of Socket.IO")
        return super().on(event, handler)

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Raises `NotImplementedError`: packets are made by the server itself."""
        raise NotImplementedError("packets of Engine.IO cannot be sent: use send(sid, data)")

    async def get_session(self, sid: str) -> Any:
        """Raises `NotImplementedError`: user sessions belong to clients of a namespace."""
        raise NotImplementedError("sessions of Engine.IO keep no data: use get_session of the Socket.IO server")

    async def save_session(self, sid: str, session: Any) -> None:
        """Raises `NotImplementedError`, as `get_session`."""
        await self.get_session(sid)

    async def shutdown(self) -> None:
        """Close the connections that belong to no session, and stop all timers."""
        self._state.close()

    # Stopping and restarting, for the layer above.

    def stop_accepting(self) -> None:
        """Open no more sessions: handshakes are refused with 503."""
        self._sessions.accepting = False

    def yield_handshakes(self, yielding: bool) -> None:
        """Have new sessions opened by `peer_workers`, as long as one of them does."""
        self._sessions.yielding = yielding

    def share_handshakes(self, crowded: Callable[[], bool]) -> None:
        """Have new sessions opened by `peer_workers` while `crowded()`, as long as one of them does."""
        self._sessions.crowded = crowded

    @property
    def is_drained(self) -> bool:
        """Whether no session is left, nor packets for the last poll of one, nor a WebSocket that is closing."""
        return self._sessions.is_drained


def _sid(request: web.Request) -> str | None:
    """As in Node, two of them are rejected: a proxy might route by the one that is ignored here."""
    sids = request.query.getall("sid", [])
    if len(sids) > 1:
        raise Refusal(responses.SESSION_UNKNOWN)
    return sids[0] if sids else None
