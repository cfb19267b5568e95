"""Long polling: GET takes what waits for the session, or hangs until something does; POST brings packets.

Rules, as Node's `engine.io` 6.6 has them:
1. One GET and one POST at a time; a second one is answered 400 and ends the session.
2. A POST is taken whole, in however many reads it comes, or not at all: beyond `max_payload` it is answered 413 and
   ends the session, and so does a payload that is none (400).
3. Packets are handed on in order; while the layer above is busy, the answer to the POST waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web

from rtserver.engine.answers import Answer, bad_request, empty, jsonp, payload, posted, too_large
from rtserver.engine.session import Reason, Session
from rtserver.protocol import payloads

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

OCTETS = "application/octet-stream"
MAX_JSONP_ESCAPES = 2
CHUNK = 65536


class Poll:
    """A GET that waits. aiohttp tells it through `set_exception` that the client went away."""

    __slots__ = ("_woken", "gone")

    def __init__(self, request: web.Request) -> None:
        self.gone = False
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # What aiohttp does to the body of a request whose connection is lost; see tests/test_seams.py.
        request._payload = self  # type: ignore[assignment]

    def wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def set_exception(self, exc: BaseException, cause: BaseException | None = None) -> None:
        self.gone = True
        self.wake()

    async def wait(self) -> None:
        await self._woken


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
                session.abort(Reason.TRANSPORT_CLOSE)
                return empty(400)
            parts = session.take()
        if not parts:
            parts = [payloads.NOOP]
        return _answer(session, request, parts)

    async def post(self, session: Session, request: web.Request) -> Answer:
        if session.posting:
            session.close(Reason.TRANSPORT_ERROR)
            return empty(400)
        session.posting = True
        try:
            return await self._post(session, request)
        except payloads.PayloadError as error:
            self._engine.rejected(session, str(error))
            session.close(Reason.PARSE_ERROR)
            return bad_request()
        finally:
            session.posting = False

    async def _post(self, session: Session, request: web.Request) -> Answer:
        body = await self._body(request)
        if body is None:
            session.close(Reason.TRANSPORT_ERROR)
            return too_large()
        for kind, data in self._packets(session, request, body):
            if session.paused:
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
        async for chunk in request.content.iter_chunked(CHUNK):
            body += chunk
            if len(body) > limit:
                return None
        return bytes(body)

    def _packets(self, session: Session, request: web.Request, body: bytes) -> list[payloads.Packet]:
        octets = request.content_type == OCTETS
        if octets:
            if session.revision == 4:
                raise payloads.PayloadError("binary payload")
            return payloads.decode3_binary(body, self._engine.max_packets)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise payloads.PayloadError("not UTF-8") from None
        if "j" in request.query:
            text = _unescaped(text)
        decode = payloads.decode if session.revision == 4 else payloads.decode3
        return decode(text, self._engine.max_packets)


def _answer(session: Session, request: web.Request, parts: list[str | bytes]) -> Answer:
    if "j" in request.query:
        text = payloads.encode(parts) if session.revision == 4 else payloads.encode3(parts)
        return jsonp(request.query["j"], text)
    if session.revision == 4:
        return payload(payloads.encode(parts).encode())
    if not session.base64 and any(isinstance(part, bytes) for part in parts):
        return payload(payloads.encode3_binary(parts), binary=True)
    return payload(payloads.encode3(parts).encode())


def _unescaped(form: str) -> str:
    r"""The payload of a JSONP form: a form turns line ends into "\n", and a client writes its own as "\\n"."""
    text = parse_qs(form, keep_blank_values=True, max_num_fields=2).get("d", [""])[0]
    return text.replace("\\\\n", "\0").replace("\\n", "\n").replace("\0", "\\n")
