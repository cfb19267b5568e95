"""Long polling through aiohttp: carries out `polling_rules` for the requests that the fast path does not take.

These are the first requests of a connection, and those of revision 3, with JSONP, with large bodies, or on connections
that cannot be taken over.
"""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web

from rtserver.engine.http.bounded_handler import BoundedHandler
from rtserver.engine.http.responses import Answer, bad_request, empty, jsonp, payload, posted, too_large
from rtserver.engine.session.interfaces import Reason
from rtserver.engine.session.prepared_message import Part
from rtserver.engine.session.session import Session
from rtserver.engine.session.state import EngineState
from rtserver.engine.transports import polling_rules
from rtserver.protocol import engineio_packets
from rtserver.protocol.accept_encoding import accepts_gzip
from rtserver.protocol.frames import LARGE_BYTES
from rtserver.protocol.header_lists import joined

CHUNK = 65536
BODY_SECONDS = 300.0
"""For the whole body of a POST to arrive, as in Node."""


class Poll:
    """A GET that hangs; the session's `PendingPoll`. aiohttp calls `set_exception` when the client disconnects."""

    __slots__ = ("_content", "_request", "_woken", "disconnected")

    def __init__(self, request: web.Request) -> None:
        self.disconnected = False
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._content = request, request._payload
        # aiohttp reports a lost connection to the body of its request; see tests/repo/test_seams.py.
        request._payload = self  # type: ignore[assignment]

    def wake(self) -> None:
        """Something is queued, or the session ended."""
        if not self._woken.done():
            self._woken.set_result(None)

    def set_exception(self, exc: BaseException, cause: BaseException | None = None) -> None:
        """Called by aiohttp: the connection is lost."""
        self.disconnected = True
        self.wake()

    async def wait(self) -> None:
        """Wait until the poll is woken or its connection is lost."""
        try:
            await self._woken
        finally:
            self._request._payload = self._content


class IncompleteBody(Exception):
    """The body of a POST will not arrive completely: lost connection, broken HTTP, out of time, or a session's end."""


class Post:
    """A POST in progress; the session's `PendingPost`. It ends with its session, even while its body is read."""

    __slots__ = ("_request",)

    def __init__(self, request: web.Request) -> None:
        self._request = request

    def abort(self) -> None:
        """The session has ended: read no more of the body."""
        transport = self._request.transport
        if transport is not None and not self._request.content.is_eof():
            transport.close()


class Polling:
    """Answers the GET and POST requests of polling sessions."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def answer_handshake(self, session: Session, request: web.Request, packet: bytes) -> Answer:
        """Answer the first request of a session with its open packet."""
        return _answer(session, request, [packet.decode()])

    async def get(self, session: Session, request: web.Request) -> Answer:
        """Answer a GET with what is queued; wait for it if need be."""
        try:
            parts = polling_rules.begin_poll(session)
        except polling_rules.OverlappingRequest:
            return empty(400)
        if not parts:
            session.poll = poll = Poll(request)
            try:
                await poll.wait()
            finally:
                session.poll = None
                if poll.disconnected:
                    session.abort(Reason.TRANSPORT_ERROR)
            if poll.disconnected:
                return empty(400)
            parts = polling_rules.end_poll(session)
        answer = _answer(session, request, parts)
        if (answer.content_length or 0) >= self._engine.gzip_threshold:
            _compress(answer, request)
        return answer

    async def post(self, session: Session, request: web.Request) -> Answer:
        """Deliver the packets of a POST, and answer it."""
        try:
            polling_rules.begin_post(session)
        except polling_rules.OverlappingRequest:
            return empty(400)
        session.post = Post(request)
        try:
            return await self._receive(session, request)
        except engineio_packets.PayloadError as error:
            self._engine.payload_rejected(session.public_id, str(error))
            session.fail(Reason.PARSE_ERROR)
            return bad_request()
        except IncompleteBody:
            session.post = None
            session.fail(Reason.TRANSPORT_ERROR)
            if not isinstance(request.protocol, BoundedHandler):
                # aiohttp would read on after an answer, meet the same error, and log it.
                request.protocol.force_close()
            return empty(400)
        finally:
            session.post = None

    async def _receive(self, session: Session, request: web.Request) -> Answer:
        body = await self._read_body(request)
        if body is None:
            session.post = None
            self._engine.payload_rejected(session.public_id, "too large")
            session.close(Reason.TRANSPORT_ERROR)
            return too_large()
        # Not `request.content_type`, which is this type for a request without the header.
        decode = partial(
            polling_rules.decode,
            body,
            session.revision,
            self._engine.max_packets,
            octets=request.headers.get("Content-Type", "").startswith(polling_rules.OCTETS),
            jsonp="j" in request.query,
        )
        large = len(body) >= LARGE_BYTES
        packets = iter(await self._engine.fair_queue.run(decode) if large else decode())
        deliver = partial(polling_rules.deliver, session, packets)
        while not (await self._engine.fair_queue.run(deliver) if large else deliver()):
            if session.paused:
                session.resumed = asyncio.get_running_loop().create_future()
                await session.resumed
            elif not large:
                await asyncio.sleep(0)
        return posted()

    async def _read_body(self, request: web.Request) -> bytes | None:
        """The whole body, or None if it is larger than a payload may be; raises `IncompleteBody`."""
        limit = self._engine.max_payload
        if (request.content_length or 0) > limit:
            return None
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_chunked(CHUNK):
                    body += chunk
                    if len(body) > limit:
                        return None
        except (ConnectionError, TimeoutError, web.RequestPayloadError) as error:
            raise IncompleteBody from error
        return bytes(body)


def _answer(session: Session, request: web.Request, parts: list[Part]) -> Answer:
    if "j" in request.query:
        return jsonp(request.query["j"], polling_rules.encode(parts, session.revision))
    if polling_rules.needs_octets(parts, session.revision, session.base64):
        return payload(engineio_packets.encode3_binary(parts), binary=True)
    return payload(polling_rules.encode(parts, session.revision).encode())


def _compress(answer: Answer, request: web.Request) -> None:
    if accepts_gzip(joined(request.headers, "Accept-Encoding")):
        answer.enable_compression(web.ContentCoding.gzip)
