"""Engine.IO handshakes: the first request of a session over either transport, and the WebSocket that upgrades one.

A server may set a cookie with the session id at the handshake, for load balancers that route by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from rtserver.engine.http import responses
from rtserver.engine.http.fastpath_parser import FastHandshakeRequest
from rtserver.engine.http.responses import Answer, Refusal
from rtserver.engine.http.takeover import accept, switching, take_over, wants_websocket
from rtserver.engine.session.interfaces import HandshakeRequest, Reason
from rtserver.engine.session.session import Session
from rtserver.engine.transports.polling import Polling
from rtserver.engine.transports.upgrade import Upgrade
from rtserver.engine.transports.websocket import WebSocket
from rtserver.engine.transports.websocket_deflate import new_socket
from rtserver.protocol import engineio_packets, json
from rtserver.protocol.frames import TEXT, frame

if TYPE_CHECKING:
    from rtserver.engine.server import Engine


class Handshaker:
    def __init__(self, engine: Engine, polling: Polling) -> None:
        self._engine = engine
        self._polling = polling

    async def handshake(self, request: web.Request, transport: str, headers: dict[str, str]) -> Answer:
        if request.method != "GET":
            raise Refusal(responses.BAD_METHOD)
        upgrade = wants_websocket(request)
        if upgrade != (transport == "websocket"):
            raise Refusal(responses.BAD_REQUEST)
        if self._engine.allow_request is not None:
            allowed = await self._engine.allow_request(request)
            if allowed is not None and allowed is not True:
                raise Refusal(responses.FORBIDDEN, allowed or None)
        accepted = accept(request) if upgrade else b""
        socket = new_socket(self._engine, request, headers) if upgrade else None
        session = self._open(request)
        if self._engine.cookie:
            headers["Set-Cookie"] = cookie_header(self._engine.cookie, session.id)
        if socket is not None:
            return self._open_socket(request, session, socket, accepted, headers)
        session.opened()
        return self._polling.opening(session, request, self._open_packet(session, ["websocket"]))

    def straight(self, request: FastHandshakeRequest, transport: asyncio.Transport, early: bytes) -> bool:
        """The handshake of a WebSocket without aiohttp; False when that is for aiohttp after all, refusals too.

        `early`: bytes that came behind it.
        """
        engine = self._engine
        if engine.yielding or "websocket" not in engine.transports:
            return False
        if engine.allow_request is not None or engine.needs_request:
            return False
        try:
            headers = engine.origins.headers(request)
            accepted = accept(request)
            socket = new_socket(engine, request, headers)
            session = self._open(request)
        except Refusal:
            return False
        if engine.cookie:
            headers["Set-Cookie"] = cookie_header(engine.cookie, session.id)
        transport.set_protocol(socket)
        socket.connection_made(transport)
        transport.write(switching(accepted, headers) + frame(self._open_packet(session, []), TEXT))
        self._opened(session, socket, early)
        return True

    def _opened(self, session: Session, socket: WebSocket, early: bytes) -> None:
        session.attach(socket)
        session.opened()
        if early:
            socket.data_received(early)

    def _open(self, request: HandshakeRequest) -> Session:
        if not self._engine.accepting:
            raise Refusal(responses.STOPPING)
        revision = revision_of(request)
        if revision == 3 and not self._engine.allow_eio3:
            raise Refusal(responses.BAD_VERSION)
        session = Session(self._engine, self._engine.generate_id(), revision, bool(request.query.get("b64")))
        session.receiver = self._engine.upper.session_opened(session, request)
        self._engine.sockets[session.id] = session
        return session

    def _open_packet(self, session: Session, upgrades: list[str]) -> bytes:
        """Times are in milliseconds, fractions of a second included."""
        allowed = [name for name in upgrades if self._engine.allow_upgrades and name in self._engine.transports]
        return engineio_packets.OPEN.encode() + json.dumps(
            {
                "sid": session.id,
                "upgrades": allowed,
                "pingInterval": round(self._engine.ping_interval * 1000),
                "pingTimeout": round(self._engine.ping_timeout * 1000),
                "maxPayload": self._engine.max_payload,
            }
        )

    def _open_socket(
        self, request: web.Request, session: Session, socket: WebSocket, accepted: bytes, headers: dict[str, str]
    ) -> Answer:
        try:
            first = frame(self._open_packet(session, []), TEXT)
            answer, early = take_over(request, accepted, socket, headers, first)
        except ConnectionResetError:
            session.abort(Reason.TRANSPORT_CLOSE)
            raise
        self._opened(session, socket, early)
        return answer

    def second_socket(self, request: web.Request, session: Session | None, headers: dict[str, str]) -> Answer:
        """A WebSocket for a session that is there: its upgrade, or one too many, which is closed."""
        if session is None:
            raise Refusal(responses.SESSION_UNKNOWN)
        if request.query["transport"] != "websocket":
            raise Refusal(responses.BAD_REQUEST)
        accepted, socket = accept(request), new_socket(self._engine, request, headers)
        answer, early = take_over(request, accepted, socket, headers)
        if session.upgrading is not None or session.socket is not None or not self._engine.allow_upgrades:
            socket.close()
        else:
            socket.own(Upgrade(self._engine, session, socket, bool(request.query.get("b64"))))
            socket.data_received(early)
        return answer


def revision_of(request: HandshakeRequest) -> int:
    """The revision of the protocol that a client speaks: whatever is not 4 is taken for 3, as in Node."""
    return 4 if request.query.get("EIO") == "4" else 3


def cookie_header(cookie: str | Mapping[str, Any], sid: str) -> str:
    """`cookie` is its name, or `{"name": …}` with attributes: a text, True for one without value, or a function."""
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
