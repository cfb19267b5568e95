"""Frames of a client are parsed by RFC 6455, and violations are refused with the right close code."""

from __future__ import annotations

import itertools
import time

import pytest
from aiohttp._websocket.helpers import websocket_mask
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    INVALID_DATA,
    PART,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    FrameError,
    FrameReader,
    close_frame,
    frame,
    unmask,
)
from tests.engine.wire import client_frame, fed

MAX = 100_000
MESSAGES = st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=8)
SIZES = [0, 1, 124, 125, 126, 127, 65535, 65536, 70000]


def read(data, max_size=MAX):
    return fed(FrameReader(max_size, websocket_mask), data)


def refused(data, max_size=MAX, reader=None):
    """The close code that these bytes lead to."""
    with pytest.raises(FrameError) as caught:
        fed(reader or FrameReader(max_size, websocket_mask), data)
    return caught.value.code


def opcode(message):
    return TEXT if isinstance(message, str) else BINARY


def fragments(opcode, *parts):
    """One message, fragmented into several frames."""
    out = b""
    for at, part in enumerate(parts):
        final = 0x80 if at == len(parts) - 1 else 0
        out += client_frame(part, first=final | (opcode if at == 0 else CONTINUATION))
    return out


@given(MESSAGES)
def test_messages_round_trip(messages):
    data = b"".join(map(client_frame, messages))
    assert read(data) == [(opcode(message), message) for message in messages]


@given(MESSAGES, st.data())
def test_bytes_may_arrive_in_any_pieces(messages, data):
    raw = b"".join(map(client_frame, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=20)))
    reader = FrameReader(MAX, websocket_mask)
    found = []
    for begin, end in itertools.pairwise([0, *cuts, len(raw)]):
        fed(reader, raw[begin:end], found)
    assert found == [(opcode(message), message) for message in messages]


@pytest.mark.parametrize("size", SIZES)
def test_every_form_of_length_is_read_and_written(size):
    payload = bytes(at % 251 for at in range(size))
    assert read(client_frame(payload)) == [(BINARY, payload)]
    written = frame(payload, BINARY)
    assert written.endswith(payload)
    assert written[1] < 128, "a server does not mask"
    head = len(written) - size
    assert head == (2 if size < 126 else 4 if size < 65536 else 10)


def test_a_frame_may_be_split_at_every_byte():
    raw = client_frame("4" + "é" * 100) + client_frame(b"\x00" * 300) + client_frame("", opcode=PING)
    for cut in range(len(raw) + 1):
        reader = FrameReader(MAX, websocket_mask)
        assert fed(reader, raw[:cut]) + fed(reader, raw[cut:]) == [
            (TEXT, "4" + "é" * 100), (BINARY, b"\x00" * 300), (PING, b""),
        ]  # fmt: skip


def test_bytes_one_by_one_take_linear_time():
    raw = client_frame(bytes(1_000_000))
    reader = FrameReader(1_000_000, websocket_mask)
    began = time.process_time()
    found = [message for at in range(len(raw)) for message in fed(reader, raw[at : at + 1])]
    assert [len(payload) for _, payload in found] == [1_000_000]
    # Copying the buffer for each byte would be 500 GB.
    assert time.process_time() - began < 15


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=100))
def test_both_ways_of_unmasking_agree(mask, payload):
    fast, slow = bytearray(payload), bytearray(payload)
    websocket_mask(mask, fast)
    unmask(mask, slow)
    assert fast == slow


@given(MESSAGES)
def test_the_shortcut_for_short_texts_agrees_with_feed(messages):
    reader = FrameReader(MAX, websocket_mask)
    for message in messages:
        raw = client_frame(message)
        text = reader.short_text(raw)
        short = isinstance(message, str) and len(message.encode()) < 126
        assert (text == message) if short else text is None
        assert reader.short_text(raw + b"\x81") is None
        assert reader.short_text(raw[:-1]) is None


def test_the_shortcut_is_not_used_within_a_fragmented_message():
    reader = FrameReader(MAX, websocket_mask)
    assert fed(reader, client_frame("be", first=TEXT)) == []
    assert reader.short_text(client_frame("whole")) is None
    reader = FrameReader(MAX, websocket_mask)
    assert fed(reader, b"\x81") == []
    assert reader.short_text(client_frame("whole")) is None


# Violations of RFC 6455.


def test_a_frame_without_mask_is_refused():
    assert refused(client_frame("4hi", mask=False)) == PROTOCOL_ERROR
    assert FrameReader(MAX).short_text(client_frame("4hi", mask=False)) is None


@pytest.mark.parametrize("bits", [0x40, 0x20, 0x10, 0x70])
@pytest.mark.parametrize("kind", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_reserved_bits_are_refused(bits, kind):
    assert refused(client_frame("x", first=0x80 | bits | kind)) == PROTOCOL_ERROR


@pytest.mark.parametrize("kind", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("final", [0, 0x80])
def test_unknown_opcodes_are_refused(kind, final):
    assert refused(client_frame("x", first=final | kind)) == PROTOCOL_ERROR


@pytest.mark.parametrize("kind", [CLOSE, PING, PONG])
def test_control_frames_are_unfragmented_and_short(kind):
    assert refused(client_frame("", first=kind)) == PROTOCOL_ERROR
    assert refused(client_frame(b"x" * 126, first=0x80 | kind)) == PROTOCOL_ERROR
    assert refused(client_frame(b"x" * 70000, first=0x80 | kind)) == PROTOCOL_ERROR


def test_the_longest_control_frame_is_accepted_at_any_message_limit():
    assert read(client_frame(b"x" * 125, PING), max_size=100) == [(PING, b"x" * 125)]
    reader = FrameReader(100, websocket_mask)
    assert fed(reader, client_frame(b"x" * 90, first=BINARY)) == []
    assert fed(reader, client_frame(b"y" * 125, PONG)) == [(PONG, b"y" * 125)]
    assert fed(reader, client_frame(b"x" * 10, first=0x80)) == [(BINARY, b"x" * 100)]


def test_fragments_are_assembled_with_control_frames_between_them():
    raw = (
        client_frame("Hel", first=TEXT) + client_frame("1", PING) + client_frame("l", first=CONTINUATION)
        + client_frame("2", PONG) + client_frame("o", first=0x80)
    )  # fmt: skip
    assert read(raw) == [(PING, b"1"), (PONG, b"2"), (TEXT, "Hello")]


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02])
def test_a_message_within_a_fragmented_message_is_refused(first):
    assert refused(client_frame("a", first=TEXT) + client_frame("b", first=first)) == PROTOCOL_ERROR


@pytest.mark.parametrize("first", [0x00, 0x80])
def test_a_continuation_without_a_message_is_refused(first):
    assert refused(client_frame("a", first=first)) == PROTOCOL_ERROR
    assert refused(fragments(TEXT, "a", "b") + client_frame("c", first=first)) == PROTOCOL_ERROR


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"ok\x80"])
def test_text_must_be_utf8(text):
    assert refused(client_frame(text, TEXT)) == INVALID_DATA
    with pytest.raises(FrameError) as caught:
        FrameReader(MAX, websocket_mask).short_text(client_frame(text, TEXT))
    assert caught.value.code == INVALID_DATA
    assert refused(client_frame(text.rjust(200), TEXT)) == INVALID_DATA
    assert refused(fragments(TEXT, b"a", text)) == INVALID_DATA
    assert read(client_frame(text, BINARY)) == [(BINARY, text)]


def test_a_character_may_be_split_over_fragments():
    raw = "a😀é".encode()
    for cut in range(len(raw) + 1):
        assert read(fragments(TEXT, raw[:cut], raw[cut:])) == [(TEXT, "a😀é")]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
def test_valid_close_frames_are_accepted(code):
    payload = code.to_bytes(2, "big") + b"bye"
    assert read(client_frame(payload, CLOSE)) == [(CLOSE, payload)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_reserved_close_codes_are_refused(code):
    assert refused(client_frame(code.to_bytes(2, "big"), CLOSE)) == PROTOCOL_ERROR


def test_a_close_frame_is_empty_or_a_code_and_text():
    assert read(client_frame(b"", CLOSE)) == [(CLOSE, b"")]
    assert refused(client_frame(b"\x03", CLOSE)) == PROTOCOL_ERROR
    assert refused(client_frame(b"\x03\xe8\xff", CLOSE)) == INVALID_DATA


def test_messages_before_an_error_are_delivered():
    found = []
    with pytest.raises(FrameError):
        fed(FrameReader(MAX), client_frame("4a") + client_frame(b"4b") + client_frame("4c", mask=False), found)
    assert found == [(TEXT, "4a"), (BINARY, b"4b")]


def test_frames_are_parsed_lazily():
    reader = FrameReader(MAX)
    messages = reader.feed(client_frame("4a") + client_frame("be", first=TEXT) + client_frame("4b", mask=False))
    assert not reader.more
    assert (next(messages), reader.more) == ((TEXT, "4a"), True)
    assert next(messages) is PART
    with pytest.raises(FrameError):
        next(messages)


# The size limit.


@pytest.mark.parametrize("limit", [0, 5, 124, 125, 126, 1000, 65535, 65536])
def test_a_message_may_have_exactly_the_maximum_size(limit):
    assert read(client_frame(b"x" * limit), limit) == [(BINARY, b"x" * limit)]
    assert read(client_frame("x" * limit), limit) == [(TEXT, "x" * limit)]
    for message in ("x" * (limit + 1), b"x" * (limit + 1)):
        assert refused(client_frame(message), limit) == TOO_BIG
        assert FrameReader(limit).short_text(client_frame(message)) is None


def test_fragments_count_together():
    assert read(fragments(BINARY, b"x" * 50, b"x" * 50), 100) == [(BINARY, b"x" * 100)]
    assert refused(fragments(BINARY, b"x" * 50, b"x" * 25, b"x" * 26), 100) == TOO_BIG


@pytest.mark.parametrize("size", [101, 70_000, 2**63 - 1, 2**64 - 1])
def test_a_message_that_is_too_long_is_refused_before_it_is_buffered(size):
    head = b"\x82" + (b"\xff" + size.to_bytes(8, "big") if size > 65535 else b"\xfe" + size.to_bytes(2, "big"))
    reader = FrameReader(100, websocket_mask)
    assert refused(head, reader=reader) == TOO_BIG
    assert reader._buffer is None or len(reader._buffer) <= 14


@given(st.binary(max_size=400))
def test_garbage_yields_messages_or_a_frame_error(data):
    code, messages = None, []
    try:
        fed(FrameReader(200, websocket_mask), data, messages)
    except FrameError as error:
        code = error.code
    assert code in (None, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG)
    assert all(kind in (TEXT, BINARY, CLOSE, PING, PONG) for kind, _ in messages)


@given(st.binary(max_size=60).map(lambda tail: b"\x81\x85" + tail), st.integers(0, 60))
def test_garbage_means_the_same_in_any_pieces(data, cut):
    def outcome(*pieces):
        reader, found = FrameReader(200, websocket_mask), []
        try:
            for piece in pieces:
                fed(reader, piece, found)
        except FrameError as error:
            return found, error.code
        return found, None

    assert outcome(data) == outcome(data[:cut], data[cut:])


def test_the_close_frame_of_the_server_fits_a_control_frame():
    assert close_frame(1000) == b"\x88\x02\x03\xe8"
    assert close_frame(1008, "why")[4:] == b"why"
    assert len(close_frame(1008, "x" * 500)) <= 127
