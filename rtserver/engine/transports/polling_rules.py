"""Rules of long polling: what each GET and POST of a polling session leads to. No I/O, no asyncio.

Two shells carry them out: `polling` for requests that come through aiohttp, `polling_fastpath` for those that do not.
The rules are those of Node's `engine.io` 6.6:

1. One GET and one POST at a time. A second one of its kind ends the session and is answered 400, without a body.
2. A GET is answered with all that is queued. If nothing is, it hangs until the session wakes it.
3. A POST is accepted completely or not at all: beyond `max_payload` bytes it is answered 413, a payload that does not
   decode 400, and either ends the session.
4. Packets are delivered in order. While the session is paused, the rest of them and the answer wait.
5. An answer of at least `gzip_threshold` bytes is compressed for clients that accept gzip.
6. A JSONP form arrives with its line ends escaped, and its answer is a call of the client's callback. Of revision 3
   binary packets are encoded as octets for clients that accept them, and as base64 for all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from rtserver.engine.session.interfaces import Reason
from rtserver.protocol import engineio_packets
from rtserver.protocol.engineio_packets import NOOP, Packet, PayloadError

if TYPE_CHECKING:
    from rtserver.engine.session.prepared_message import Part
    from rtserver.engine.session.session import Session

OCTETS = "application/octet-stream"


class OverlappingRequest(Exception):
    """A second GET or POST while one is in progress (rule 1); the session has been closed."""


def begin_poll(session: Session) -> list[Part]:
    """Return the packets that answer a GET; empty: it hangs, and the caller becomes the session's `poll`.

    Raises `OverlappingRequest`.
    """
    if session.poll is not None:
        session.close(Reason.TRANSPORT_ERROR)
        raise OverlappingRequest
    parts = session.take_queue()
    return parts if parts or not session.closed else [NOOP]


def end_poll(session: Session) -> list[Part]:
    """Return the packets that answer a GET after its wake-up; the session then has no poll."""
    session.poll = None
    return session.take_queue() or [NOOP]


def begin_post(session: Session) -> None:
    """Raises `OverlappingRequest`."""
    if session.post is not None:
        session.close(Reason.TRANSPORT_ERROR)
        raise OverlappingRequest


def decode(body: bytes, revision: int, max_packets: int, *, octets: bool = False, jsonp: bool = False) -> list[Packet]:
    """Return the packets of a POST; raises `PayloadError`.

    `octets`: it came as `application/octet-stream`. `jsonp`: it is a form.
    """
    if octets:
        if revision == 4:
            raise PayloadError("binary payload")
        return engineio_packets.decode3_binary(body, max_packets)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise PayloadError("not UTF-8") from None
    if jsonp:
        text = _from_form(text)
    return (engineio_packets.decode if revision == 4 else engineio_packets.decode3)(text, max_packets)


def deliver(session: Session, packets: Iterator[Packet]) -> bool:
    """Deliver packets until the session is paused; returns whether all are delivered and the POST is to be answered.

    After a pause the caller calls again with the same iterator. Raises `PayloadError`.
    """
    if session.paused:
        return False
    for kind, data in packets:
        session.receive_packet(kind, data)
        if session.paused:
            return False
    return True


def encode(parts: Iterable[Part], revision: int) -> str:
    """Return the packets as the text of an answer."""
    return engineio_packets.encode(parts) if revision == 4 else engineio_packets.encode3(parts)


def needs_octets(parts: Iterable[Part], revision: int, base64: bool) -> bool:
    """Whether these packets are encoded as octets: by revision 3, for a client that accepts them."""
    return revision == 3 and not base64 and any(isinstance(part, bytes) for part in parts)


def _from_form(form: str) -> str:
    r"""The payload of a JSONP form: a form turns line ends into "\n", and a client writes its own as "\\n"."""
    if not form.startswith("d="):
        raise PayloadError("no JSONP form")
    text = unquote_plus(form[2:].partition("&")[0])
    return re.sub(r"(\\)?\\n", lambda match: "\\n" if match[1] else "\n", text)
