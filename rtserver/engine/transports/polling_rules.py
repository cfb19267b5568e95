"""Rules of long polling: what each GET and POST of a polling session leads to. No I/O, no asyncio.

Two shells carry them out: `polling` for requests that come through aiohttp, `polling_fastpath` for those that do not.
The rules are those of Node's `engine.io` 6.6:

1. One GET and one POST at a time. A second one of its kind ends the session and is answered 400, without a body.
2. A GET is answered with all that is queued. If nothing is, it hangs until the session wakes it.
3. A POST is accepted completely or not at all: beyond `max_payload` bytes it is answered 413, a payload that does not
   decode 400, and either ends the session.
4. Packets are delivered in order, at most `MAX_MESSAGES` packets or `MAX_BYTES` in one iteration of the event loop.
   While the session is paused, the rest of them and the answer wait.
5. An answer of at least `gzip_threshold` bytes is compressed for clients that accept gzip.
6. A JSONP form arrives with its line ends escaped, and its answer is a call of the client's callback. Of revision 3
   binary packets are encoded as octets for clients that accept them, and as base64 for all others.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rtserver.engine.session.fair_queue import MAX_BYTES, MAX_MESSAGES
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

    After a pause, or in a later iteration of the event loop, the caller calls again with the same iterator. Raises
    `PayloadError`.
    """
    if session.paused:
        return False
    size = 0
    for count, (kind, data) in enumerate(packets, 1):
        session.receive_packet(kind, data)
        size += len(data)
        if session.paused or count >= MAX_MESSAGES or size >= MAX_BYTES:
            return False
    return True


def encode(parts: Iterable[Part], revision: int) -> str:
    """Return the packets as the text of an answer."""
    return engineio_packets.encode(parts) if revision == 4 else engineio_packets.encode3(parts)


def needs_octets(parts: Iterable[Part], revision: int, base64: bool) -> bool:
    """Whether these packets are encoded as octets: by revision 3, for a client that accepts them."""
    return revision == 3 and not base64 and any(isinstance(part, bytes) for part in parts)


def _from_form(form: str) -> str:
    r"""The payload of a JSONP form: a form turns line ends into "\n", and a client writes its own as "\\n".

    In a form each escape stands for a byte, and a form may have hundreds of thousands of them: this is how they are
    decoded without a step in Python for each. Raises `PayloadError`.
    """
    if not form.startswith("d="):
        raise PayloadError("no JSONP form")
    value = form[2:].partition("&")[0]
    if _ESCAPED.fullmatch(value) is None:
        raise PayloadError("no escape in a JSONP form")
    # Quoted-printable writes `=41` for `%41`.
    quoted = value.replace("+", " ").replace("=", "%3D").replace("%", "=").encode()
    text = binascii.a2b_qp(quoted).decode("utf-8", "replace")
    # Decoded UTF-8 has no surrogates, so one can hold the place of what is not a line end.
    return text.replace("\\\\n", _HELD).replace("\\n", "\n").replace(_HELD, "\\n")


_ESCAPED = re.compile("(?:[^%]++|%[0-9A-Fa-f]{2})*+")
_HELD = "\ud800"
