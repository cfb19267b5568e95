"""Engine.IO handshake: the first request of a session over either transport, and the WebSocket that upgrades a session.

1. A handshake is decided in one place, whichever way it came: `Handshaker.handshake` carries it out for requests of
   aiohttp, `Handshaker.fast_handshake` for WebSockets that do not pass aiohttp (see `rtserver.engine.runner`).
2. Checks run in Node's order: method, transport, `allow_request`, WebSocket headers, extensions, whether the server
   is stopping, protocol revision, and last the layer above. The first that fails is the answer.
3. The fast path answers only handshakes that are accepted. It leaves refusals to aiohttp, which runs all checks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from rtserver.engine.http import responses
from rtserver.engine.http.cors import OriginPolicy
from rtserver.engine.http.fastpath_parser import FastHandshakeRequest
from rtserver.engine.http.request import HandshakeRequest, revision_of, wants_websocket
from rtserver.engine.http.responses import Answer, Refusal
from rtserver.engine.http.takeover import take_over
from rtserver.engine.http.websocket_handshake import SUBPROTOCOL, accept_key, chosen_subprotocol, switching_protocols
from rtserver.engine.session.interfaces import MessageReceiver, Reason
from rtserver.engine.session.options import EngineOptions
from rtserver.engine.session.session import Session
from rtserver.engine.session.state import EngineState
from rtserver.engine.transports.polling import Polling
from rtserver.engine.transports.upgrade import Upgrade
from rtserver.engine.transports.websocket import WebSocket
from rtserver.engine.transports.websocket_deflate import new_websocket
from rtserver.ids import with_secret
from rtserver.protocol import engineio_packets, json
from rtserver.protocol.frames import TEXT, frame
from rtserver.protocol.header_lists import joined


class SessionListener(Protocol):
    """The layer above, for all sessions. Implemented by `rtserver.sio.server.Server`; called by `Handshaker`."""

    needs_request: bool
    """Whether `session_opened` needs aiohttp's request, not just a `HandshakeRequest`."""

    def session_opened(self, session: Session, request: HandshakeRequest) -> MessageReceiver:
        """Return the receiver of a new session's messages; raises `Refusal`."""

    async def recognizes(self, session: Session, request: HandshakeRequest) -> bool:
        """Whether a request with another cookie than that of the handshake is of the same user."""


class Accepted(NamedTuple):
    """An accepted handshake over WebSocket: `response` is the 101 and the open packet."""

    session: Session
    socket: WebSocket
    response: bytes


class Handshaker:
    """Opens sessions."""

    def __init__(
        self,
        engine: EngineState,
        origins: OriginPolicy,
        polling: Polling,
        listener: SessionListener,
        generate_id: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._origins = origins
        self._polling = polling
        self._listener = listener
        self._generate_id = generate_id

    @property
    def needs_request(self) -> bool:
        """Whether a handshake needs aiohttp's request, so that the fast path cannot answer it."""
        options = self._engine.options
        hooked = options.allow_request is not None or options.handle_protocols is not None
        return hooked or self._origins.needs_request or self._listener.needs_request

    def refusal_headers(self, request: HandshakeRequest) -> dict[str, str]:
        """Return the CORS headers for the refusal of a request that could not be parsed."""
        try:
            return {} if self._origins.needs_request else self._origins.headers(request)
        except Refusal:
            return {}

    async def handshake(self, request: web.Request, transport: str, headers: dict[str, str]) -> Answer:
        """Open a session; `headers`: of the response, to which cookie and extensions are added. Raises `Refusal`."""
        check_transport(request, transport)
        allow_request = self._engine.options.allow_request
        if allow_request is not None:
            allowed = await allow_request(request)
            if allowed is not None and allowed is not True:
                raise Refusal(responses.FORBIDDEN, allowed or None)
        if transport == "websocket":
            accepted = self._accept_websocket(request, headers)
            return self._finish_by_aiohttp(request, accepted)
        session = self._open_session(request, headers)
        session.start_heartbeat()
        packet = open_packet(session.id, self._engine.options, ["websocket"])
        return self._polling.answer_handshake(session, request, packet)

    def fast_handshake(self, request: FastHandshakeRequest, transport: asyncio.Transport, tail: bytes) -> bool:
        """Open a session over a WebSocket without aiohttp; returns False to leave the request to aiohttp.

        `tail`: bytes that arrived behind the request.
        """
        engine = self._engine
        if not engine.sessions.opens_here or "websocket" not in engine.options.transports or self.needs_request:
            return False
        try:
            accepted = self._accept_websocket(request, self._origins.headers(request))
        except Refusal:
            return False
        transport.set_protocol(accepted.socket)
        accepted.socket.connection_made(transport)
        transport.write(accepted.response)
        _start(accepted, tail)
        return True

    def upgrade(self, request: web.Request, session: Session | None, headers: dict[str, str]) -> Answer:
        """Accept a WebSocket for an open session: its upgrade, or else one too many, which is closed at once.

        Raises `Refusal`.
        """
        if session is None:
            raise Refusal(responses.SESSION_UNKNOWN)
        if request.query["transport"] != "websocket":
            raise Refusal(responses.BAD_REQUEST)
        accept, subprotocol = accept_key(request), self._subprotocol(request)
        socket = new_websocket(self._engine, request, headers)
        answer, tail = take_over(request, socket, switching_protocols(accept, headers | subprotocol))
        if session.upgrade is not None or session.socket is not None or not self._engine.options.allow_upgrades:
            socket.close()
        else:
            socket.set_sink(Upgrade(self._engine.wheel, session, socket, bool(request.query.get("b64"))))
            socket.data_received(tail)
        return answer

    def _accept_websocket(self, request: HandshakeRequest, headers: dict[str, str]) -> Accepted:
        accept, subprotocol = accept_key(request), self._subprotocol(request)
        socket = new_websocket(self._engine, request, headers)
        session = self._open_session(request, headers)
        first = frame(open_packet(session.id, self._engine.options, []), TEXT)
        return Accepted(session, socket, switching_protocols(accept, headers | subprotocol) + first)

    def _subprotocol(self, request: HandshakeRequest) -> dict[str, str]:
        chosen = chosen_subprotocol(request, self._engine.options.handle_protocols)
        return {} if chosen is None else {SUBPROTOCOL: chosen}

    def _finish_by_aiohttp(self, request: web.Request, accepted: Accepted) -> Answer:
        try:
            answer, tail = take_over(request, accepted.socket, accepted.response)
        except ConnectionResetError:
            accepted.session.abort(Reason.TRANSPORT_CLOSE)
            raise
        _start(accepted, tail)
        return answer

    def _open_session(self, request: HandshakeRequest, headers: dict[str, str]) -> Session:
        engine = self._engine
        revision = accepted_revision(request, engine.options, engine.sessions.accepting)
        session = Session(engine, self._new_id(revision, request), revision, bool(request.query.get("b64")))
        session.receiver = self._listener.session_opened(session, request)
        engine.sessions.open[session.id] = session
        if engine.options.cookie:
            headers["Set-Cookie"] = cookie_header(engine.options.cookie, session.id)
        return session

    def _new_id(self, revision: int, request: HandshakeRequest) -> str:
        id = self._generate_id()
        if revision == 3:
            id = with_secret(id)
        binding = self._engine.binding
        return id if binding is None else binding.bound(id, joined(request.headers, "Cookie"))


def _start(accepted: Accepted, tail: bytes) -> None:
    accepted.session.attach_socket(accepted.socket)
    accepted.session.start_heartbeat()
    if tail:
        accepted.socket.data_received(tail)


def check_transport(request: HandshakeRequest, transport: str) -> None:
    """Raises `Refusal` unless this is a GET that asks for a WebSocket exactly if its query names that transport."""
    if request.method != "GET":
        raise Refusal(responses.BAD_METHOD)
    if wants_websocket(request) != (transport == "websocket"):
        raise Refusal(responses.BAD_REQUEST)


def accepted_revision(request: HandshakeRequest, options: EngineOptions, accepting: bool) -> int:
    """Return the revision of a new session; raises `Refusal` where none may be opened, or not of this revision."""
    if not accepting:
        raise Refusal(responses.STOPPING)
    revision = revision_of(request)
    if revision == 3 and not options.allow_eio3:
        raise Refusal(responses.BAD_VERSION)
    return revision


def open_packet(sid: str, options: EngineOptions, upgrades: list[str]) -> bytes:
    """Return the first packet of a session. Times are in milliseconds, from fractions of a second too."""
    allowed = [name for name in upgrades if options.allow_upgrades and name in options.transports]
    return engineio_packets.OPEN.encode() + json.dumps(
        {
            "sid": sid,
            "upgrades": allowed,
            "pingInterval": round(options.ping_interval * 1000),
            "pingTimeout": round(options.ping_timeout * 1000),
            "maxPayload": options.max_payload,
        }
    )


def cookie_header(cookie: str | Mapping[str, Any], sid: str) -> str:
    """Return the `Set-Cookie` header with the session id, by which load balancers can route.

    `cookie` is its name, or `{"name": …}` with attributes: a text, True for one without value, or a function.
    """
    if isinstance(cookie, str):
        cookie = {"name": cookie, "path": "/", "SameSite": "Lax", "HttpOnly": True}
    parts = [f"{cookie.get('name', 'io')}={sid}"]
    for attribute, value in cookie.items():
        if attribute == "name":
            continue
        value = value() if callable(value) else value
        if value is True:
            parts.append(attribute)
        elif value not in (False, None):
            parts.append(f"{attribute}={value}")
    return "; ".join(parts)
