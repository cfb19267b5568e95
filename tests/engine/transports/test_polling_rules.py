"""The rules of long polling, without a connection."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.engine.session.fair_queue import MAX_BYTES, MAX_MESSAGES
from rtserver.engine.session.interfaces import Reason
from rtserver.engine.transports import polling_rules
from rtserver.protocol.engineio_packets import PayloadError


class FakeSession:
    """The part of a `Session` that the rules use; it notes what it receives, and is paused by "pause"."""

    def __init__(self, *queue: str | bytes, closed: bool = False) -> None:
        self.queue = list(queue)
        self.closed = closed
        self.paused = False
        self.poll: object | None = None
        self.post: object | None = None
        self.reasons: list[str] = []
        self.received: list[tuple[str, str | bytes]] = []

    def take_queue(self) -> list[str | bytes]:
        queue, self.queue = self.queue, []
        return queue

    def close(self, reason: str) -> None:
        self.reasons.append(reason)

    def receive_packet(self, kind: str, data: str | bytes) -> None:
        self.received.append((kind, data))
        self.paused = data == "pause"


def session(*queue: str | bytes, closed: bool = False) -> Any:
    return FakeSession(*queue, closed=closed)


def test_a_get_is_answered_with_all_queued_packets() -> None:
    assert polling_rules.begin_poll(session("4a", "4b")) == ["4a", "4b"]


def test_a_get_with_nothing_queued_hangs() -> None:
    assert polling_rules.begin_poll(session()) == []


def test_a_get_of_an_ended_session_does_not_hang() -> None:
    assert polling_rules.begin_poll(session(closed=True)) == ["6"]


def test_a_second_get_ends_the_session_and_takes_no_packets() -> None:
    it = session("4a")
    it.poll = object()
    with pytest.raises(polling_rules.OverlappingRequest):
        polling_rules.begin_poll(it)
    assert (it.reasons, it.queue) == ([Reason.TRANSPORT_ERROR], ["4a"])


@pytest.mark.parametrize(("queue", "answer"), [(["4a"], ["4a"]), ([], ["6"])])
def test_a_woken_poll_is_answered_with_what_is_queued_or_a_noop(queue: list[str], answer: list[str]) -> None:
    it = session(*queue)
    it.poll = object()
    assert polling_rules.end_poll(it) == answer
    assert it.poll is None


def test_a_second_post_ends_the_session() -> None:
    it = session()
    polling_rules.begin_post(it)
    it.post = object()
    with pytest.raises(polling_rules.OverlappingRequest):
        polling_rules.begin_post(it)
    assert it.reasons == [Reason.TRANSPORT_ERROR]


def test_packets_are_delivered_up_to_a_pause_and_then_the_rest() -> None:
    it = session()
    packets = iter([("4", "a"), ("4", "pause"), ("4", "b")])
    assert not polling_rules.deliver(it, packets)
    assert not polling_rules.deliver(it, packets)
    assert it.received == [("4", "a"), ("4", "pause")]
    it.paused = False
    assert polling_rules.deliver(it, packets)
    assert it.received[2:] == [("4", "b")]


def test_a_pause_by_the_last_packet_delays_the_answer() -> None:
    it = session()
    packets = iter([("4", "pause")])
    assert not polling_rules.deliver(it, packets)
    it.paused = False
    assert polling_rules.deliver(it, packets)


@pytest.mark.parametrize(
    ("packets", "parts"),
    [
        ([("4", "a")] * (MAX_MESSAGES - 1), []),
        ([("4", "a")] * (2 * MAX_MESSAGES + 1), [MAX_MESSAGES, 2 * MAX_MESSAGES]),
        ([("4", "a" * MAX_BYTES), ("4", b"b" * MAX_BYTES), ("4", "c")], [1, 2]),
    ],
)
def test_one_iteration_delivers_a_bounded_part(packets: list[Any], parts: list[int]) -> None:
    it, rest, seen = session(), iter(packets), []
    while not polling_rules.deliver(it, rest):
        seen.append(len(it.received))
    assert seen == parts
    assert it.received == packets


FORMS = st.text("ab%=+_ \\\n\r\té😀\0", max_size=30)


@given(FORMS)
def test_a_form_is_decoded_like_any_other(text: str) -> None:
    body = f"d=4{quote_plus(text)}&e=1".encode()
    expected = re.sub(r"(\\)?\\n", lambda match: "\\n" if match[1] else "\n", text)
    assert polling_rules.decode(body, 4, 10, jsonp=True) == [("4", expected)]


@pytest.mark.parametrize("form", [b"d=4=a_b=\n=", b"d=4%3D%5F=", b"d=4%C3%A9%ff", b"d=4a%2Bb+c", b"d=4%25%34%31"])
def test_unusual_forms_are_decoded_as_by_a_browser(form: bytes) -> None:
    expected = unquote_plus(form[2:].decode())[1:]
    assert polling_rules.decode(form, 4, 10, jsonp=True) == [("4", expected)]


@pytest.mark.parametrize("form", [b"d=4%", b"d=4%4", b"d=4%zz", b"d=4%\n", b"d=4%%41"])
def test_a_form_with_half_an_escape_is_rejected(form: bytes) -> None:
    with pytest.raises(PayloadError):
        polling_rules.decode(form, 4, 10, jsonp=True)


@pytest.mark.parametrize(
    ("body", "options", "packets"),
    [
        (b"4a\x1e4b", {"revision": 4}, [("4", "a"), ("4", "b")]),
        (b"2:4a", {"revision": 3}, [("4", "a")]),
        (b"\x00\x02\xff4a", {"revision": 3, "octets": True}, [("4", "a")]),
        (b"d=4a%5Cn", {"revision": 4, "jsonp": True}, [("4", "a\n")]),
    ],
)
def test_payloads_are_decoded_by_revision_and_content_type(body: bytes, options: Any, packets: object) -> None:
    assert polling_rules.decode(body, max_packets=10, **options) == packets


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (b"4a", {"revision": 4, "octets": True}),
        (b"4\xff", {"revision": 4}),
        (b"4a", {"revision": 4, "jsonp": True}),
        (b"4a\x1e4b\x1e4c", {"revision": 4}),
        (b"9", {"revision": 4}),
    ],
)
def test_an_invalid_payload_is_rejected(body: bytes, options: Any) -> None:
    with pytest.raises(PayloadError):
        polling_rules.decode(body, max_packets=2, **options)


def test_only_revision_3_encodes_binary_packets_as_octets() -> None:
    assert polling_rules.needs_octets(["4a", b"b"], 3, base64=False)
    assert not polling_rules.needs_octets(["4a"], 3, base64=False)
    assert not polling_rules.needs_octets([b"b"], 3, base64=True)
    assert not polling_rules.needs_octets([b"b"], 4, base64=False)
