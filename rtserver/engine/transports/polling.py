"""Long polling: GET takes what waits for the session, or hangs until something does; POST brings packets.

Rules, as Node's `engine.io` 6.6 has them:
1. One GET and one POST at a time; a second one is answered 400 and ends the session.
2. A POST is taken whole, in however many reads it comes, or not at all: beyond `max_payload` it is answered 413 and
   ends the session, and so does a payload that is none (400).
3. Packets are handed on in order; while the layer above is busy, the answer to the POST waits.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from aiohttp import web

from rtserver.engine.http.responses import Answer, bad_request, empty, jsonp, payload, posted, too_large
from rtserver.engine.session.interfaces import Reason
from rtserver.engine.session.session import Session
from rtserver.protocol import engineio_packets
from rtserver.protocol.accept_encoding import accepts_gzip

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

OCTETS = "application/octet-stream"
MAX_JSONP_ESCAPES = 2
CHUNK = 65536


class Poll:
    """A GET that waits. aiohttp tells it through `set_exception` that the client went away."""

    __slots__ = ("_content", "_request", "_woken", "gone")

    def __init__(self, request: web.Request) -> None:
        self.gone = False
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._content = request, request._payload
        # What aiohttp does to the body of a request whose connection is lost; see tests/test_seams.py.
        request._payload = self  # type: ignore[assignment]

    def wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def set_exception(self, exc: BaseException, cause: BaseException | None = None) -> None:
        self.gone = True
        self.wake()

    async def wait(self) -> None:
        try:
            await self._woken
        finally:
            self._request._payload = self._content


class IncompleteBody(Exception):
    """The body of a POST will not come whole: the client left, sent no HTTP, or its session ended meanwhile."""


class Post:
    """A POST under way: it does not outlive its session, whether its body comes or not."""

    __slots__ = ("_request",)

    def __init__(self, request: web.Request) -> None:
        self._request = request

    def abort(self) -> None:
        transport = self._request.transport
        if transport is not None and not self._request.content.is_eof():
            transport.close()


class Polling:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def opening(self, session: Session, request: web.Request, packet: bytes) -> Answer:
        return _answer(session, request, [packet.decode()])

    async def get(self, session: Session, request: web.Request) -> Answer:
        if session.poll is not None:
            session.close(Reason.TRANSPORT_ERROR)
            return empty(400)
        parts = session.take()
        if not parts and not session.closed:
            session.poll = poll = Poll(request)
            try:
                await poll.wait()
            finally:
                session.poll = None
                if poll.gone:
                    session.abort(Reason.TRANSPORT_ERROR)
            if poll.gone:
                return empty(400)
            parts = session.take()
        if not parts:
            parts = [engineio_packets.NOOP]
        answer = _answer(session, request, parts)
        engine = self._engine
        if engine.http_compression and (answer.content_length or 0) >= engine.compression_threshold:
            _compress(answer, request)
        return answer

    async def post(self, session: Session, request: web.Request) -> Answer:
        if session.post is not None:
            session.close(Reason.TRANSPORT_ERROR)
            return empty(400)
        session.post = Post(request)
        try:
            return await self._post(session, request)
        except engineio_packets.PayloadError as error:
            self._engine.rejected(session, str(error))
            session.close(Reason.PARSE_ERROR)
            return bad_request()
        except IncompleteBody:
            session.close(Reason.TRANSPORT_ERROR)
            # An answer would have aiohttp read on, into the same fault, and log it.
            request.protocol.force_close()
            return empty(400)
        finally:
            session.post = None

    async def _post(self, session: Session, request: web.Request) -> Answer:
        body = await self._body(request)
        if body is None:
            session.post = None
            self._engine.rejected(session, "too large")
            session.close(Reason.TRANSPORT_ERROR)
            return too_large()
        for kind, data in self._packets(session, request, body):
            while session.paused:
                session.resumed = asyncio.get_running_loop().create_future()
                await session.resumed
            session.packet(kind, data)
        return posted()

    async def _body(self, request: web.Request) -> bytes | None:
        """The whole body, or None when it is larger than a payload may be."""
        limit = self._engine.max_payload
        if (request.content_length or 0) > limit:
            return None
        body = bytearray()
        try:
            async for chunk in request.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > limit:
                    return None
        except (ConnectionError, web.RequestPayloadError) as error:
            raise IncompleteBody from error
        return bytes(body)

    def _packets(self, session: Session, request: web.Request, body: bytes) -> list[engineio_packets.Packet]:
        # Not `request.content_type`, which takes a request without one for this.
        if request.headers.get("Content-Type", "").startswith(OCTETS):
            if session.revision == 4:
                raise engineio_packets.PayloadError("binary payload")
            return engineio_packets.decode3_binary(body, self._engine.max_packets)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise engineio_packets.PayloadError("not UTF-8") from None
        if "j" in request.query:
            text = _unescaped(text)
        decode = engineio_packets.decode if session.revision == 4 else engineio_packets.decode3
        return decode(text, self._engine.max_packets)


def _answer(session: Session, request: web.Request, parts: list[str | bytes]) -> Answer:
    if "j" in request.query:
        text = engineio_packets.encode(parts) if session.revision == 4 else engineio_packets.encode3(parts)
        return jsonp(request.query["j"], text)
    if session.revision == 4:
        return payload(engineio_packets.encode(parts).encode())
    if not session.base64 and any(isinstance(part, bytes) for part in parts):
        return payload(engineio_packets.encode3_binary(parts), binary=True)
    return payload(engineio_packets.encode3(parts).encode())


def _compress(answer: Answer, request: web.Request) -> None:
    if accepts_gzip(request.headers.get("Accept-Encoding", "")):
        answer.enable_compression(web.ContentCoding.gzip)


def _unescaped(form: str) -> str:
    r"""The payload of a JSONP form: a form turns line ends into "\n", and a client writes its own as "\\n"."""
    if not form.startswith("d="):
        raise engineio_packets.PayloadError("no JSONP form")
    text = unquote_plus(form[2:].partition("&")[0])
    return re.sub(r"(\\)?\\n", lambda match: "\\n" if match[1] else "\n", text)
