"""permessage-deflate by RFC 7692: negotiation, compression, and messages that are refused."""

from __future__ import annotations

import random
import zlib
from contextlib import suppress

import pytest
from aiohttp._websocket.helpers import websocket_mask
from hypothesis import example, given
from hypothesis import strategies as st

from rtserver.protocol.frames import (
    ANNOUNCEMENT,
    BINARY,
    CONTINUATION,
    INVALID_DATA,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    FrameError,
    FrameReader,
    frame,
)
from rtserver.protocol.permessage_deflate import (
    LARGE_INFLATED,
    Deflate,
    HeaderError,
    InflatingReader,
    deflate,
    inflate,
    negotiate,
)
from tests.engine.wire import client_frame, fed

MAX = 100_000
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
COMPRESSED = {TEXT: 0xC1, BINARY: 0xC2}
SHRINKING = st.lists(st.sampled_from([b"abcdefgh", b"\x00" * 50, b"12345"]), max_size=200).map(b"".join)


def read(data, max_size=MAX):
    return fed(InflatingReader(max_size, websocket_mask), data)


def refused(data, max_size=MAX):
    with pytest.raises(FrameError) as caught:
        read(data, max_size)
    return caught.value.code


def outcome(reading):
    """The messages, or the close code of the error."""
    try:
        return reading()
    except FrameError as error:
        return error.code


def as_client(payload, bits=15, level=6, flush=zlib.Z_SYNC_FLUSH):
    """The payload of a compressed message, made by zlib without rtserver."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -bits)
    packed = packer.compress(payload) + packer.flush(flush)
    return packed[:-4] if flush != zlib.Z_FINISH else packed


# Negotiation.


@pytest.mark.parametrize(
    ("header", "bits", "limit"),
    [
        ("permessage-deflate", 15, ""),
        ("permessage-deflate; client_max_window_bits", 15, ""),
        ("permessage-deflate; client_max_window_bits=8", 15, ""),
        ("permessage-deflate;server_no_context_takeover;client_no_context_takeover", 15, ""),
        ("permessage-deflate; server_max_window_bits=9", 9, "; server_max_window_bits=9"),
        ('permessage-deflate ; \t server_max_window_bits="15"', 15, "; server_max_window_bits=15"),
        ('permessage-deflate; server_max_window_bits="\\1\\0" ', 10, "; server_max_window_bits=10"),
        ("x-webkit-deflate-frame, permessage-deflate", 15, ""),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", 15, ""),
        ("permessage-deflate; new=1, permessage-deflate; server_max_window_bits=12, permessage-deflate", 12,
         "; server_max_window_bits=12"),
    ],
)  # fmt: skip
def test_the_first_acceptable_offer_is_accepted(header, bits, limit):
    assert negotiate(header) == (bits, ANSWER + limit)


@pytest.mark.parametrize(
    "parameters",
    [
        "unknown", "unknown=1", "server_max_window_bits", "server_max_window_bits=16", "server_max_window_bits=7",
        "server_max_window_bits=8", "server_max_window_bits=010", "server_max_window_bits=1e1",
        "client_max_window_bits=16", "client_max_window_bits=x", "client_max_window_bits=0",
        "server_no_context_takeover=1", "client_no_context_takeover=true", 'client_no_context_takeover="1"',
        "server_no_context_takeover; server_no_context_takeover", "client_max_window_bits; client_max_window_bits=9",
        "Server_no_context_takeover",
    ],
)  # fmt: skip
def test_an_offer_with_an_invalid_parameter_is_declined(parameters):
    assert negotiate(f"permessage-deflate; {parameters}") is None
    assert negotiate(f"permessage-deflate; {parameters}, permessage-deflate") == (15, ANSWER)


@pytest.mark.parametrize("header", ["foo", "foo; bar=baz, permessage-frame", "Permessage-Deflate"])
def test_other_extensions_are_declined(header):
    assert negotiate(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "", ",", "a,", ",a", "a,,b", "a;", "a;;b", "a;b=", "a;=b", "a;b =c", "a;b= c", 'a;b=""', 'a;b="c', 'a;b="c d"',
        'a;b="c\\"', 'a;b=c"d"', "a b", "a;b c", "a;b=c d", "a=b", "é", "a;b=(c)", "a\n", "a\x00", 'a;b="c"d',
    ],
)  # fmt: skip
def test_a_malformed_header_is_refused(header):
    with pytest.raises(HeaderError):
        negotiate(header)
    with pytest.raises(HeaderError):
        negotiate(f"permessage-deflate, {header}")


@given(st.text())
def test_any_header_is_parsed_or_refused(header):
    with suppress(HeaderError):
        assert negotiate(header) is None or "permessage-deflate" in header


# Compression.


@given(SHRINKING | st.binary(max_size=2000), st.integers(9, 15), st.sampled_from([TEXT, BINARY]))
def test_a_frame_can_be_read_with_the_agreed_window(payload, bits, opcode):
    raw = Deflate(0, bits).frame(payload, opcode)
    if raw[0] == 0x80 | opcode:
        assert raw == frame(payload, opcode)
        return
    assert raw[0] == COMPRESSED[opcode]
    packed = raw[2:] if raw[1] < 126 else raw[4:]
    assert len(packed) < len(payload)
    assert zlib.decompressobj(-bits).decompress(packed + b"\x00\x00\xff\xff") == payload


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("size", [1, 511, 512, 513, 1024, 40_000, 100_000])
def test_the_window_is_respected_with_repetitions_at_any_distance(bits, size):
    words = random.Random(size).randbytes(size)
    payload = words + words + b"x" * 300 + words
    packed = deflate(payload, bits)
    assert zlib.decompressobj(-bits).decompress(packed + b"\x00\x00\xff\xff") == payload


def test_small_and_incompressible_messages_are_sent_uncompressed():
    assert Deflate(101).frame(b"a" * 100, TEXT) == frame(b"a" * 100, TEXT)
    assert Deflate(100).frame(b"a" * 100, TEXT)[0] == 0xC1
    noise = random.Random(1).randbytes(5000)
    assert Deflate(0).frame(noise, BINARY) == frame(noise, BINARY)
    assert Deflate(0).frame(b"", TEXT) == frame(b"", TEXT)


# Inflation.


@given(SHRINKING | st.binary(max_size=500), st.integers(9, 15), st.integers(0, 9))
def test_messages_of_a_client_are_inflated(payload, bits, level):
    assert inflate(as_client(payload, bits, level), MAX) == payload
    assert inflate(as_client(payload, bits, level, zlib.Z_FULL_FLUSH), MAX) == payload


@given(SHRINKING | st.binary(max_size=500))
def test_a_message_may_end_with_a_final_block(payload):
    final = as_client(payload, flush=zlib.Z_FINISH)
    assert inflate(final + b"\x00", MAX) == payload
    assert inflate(final, MAX) == payload


# RFC 7692, 7.2.3: one block, no compression, a final block, and two blocks in one message.
@pytest.mark.parametrize(
    "packed",
    ["f248cdc9c90700", "000500faff48656c6c6f00", "f348cdc9c9070000", "f24805000000ffffcac9c90700"],
)
def test_the_examples_of_the_rfc(packed):
    assert inflate(bytes.fromhex(packed), MAX) == b"Hello"


def test_an_empty_message_is_one_byte_or_none():
    assert read(client_frame(b"\x00", first=0xC1) + client_frame(b"", first=0xC2)) == [(TEXT, ""), (BINARY, b"")]


@given(st.binary(max_size=300))
@example(b"\xff")
@example(b"\x00" * 300)
@example(b"\x03\x00" * 150)
def test_garbage_is_inflated_or_refused(data):
    assert outcome(lambda: len(inflate(data, 1000)) <= 1000) in (True, INVALID_DATA, TOO_BIG)


@given(st.binary(max_size=300))
def test_garbage_in_frames_is_a_message_or_is_refused(data):
    for first in range(256):
        raw = client_frame(data, first=first)
        assert outcome(lambda: bool(read(raw))) in (True, False, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG)  # noqa: B023


def test_a_truncated_or_damaged_message_is_refused():
    packed = as_client(b"Hello, hello, hello: this is it. " * 5)
    for cut in range(1, len(packed) - 1):
        assert refused(client_frame(packed[:cut], first=0xC1)) == INVALID_DATA, cut
    assert refused(client_frame(b"\xff" + packed, first=0xC1)) == INVALID_DATA
    behind = as_client(b"one", flush=zlib.Z_FINISH) + as_client(b"two")
    assert refused(client_frame(behind, first=0xC1)) == INVALID_DATA


def test_a_client_may_not_refer_to_its_last_message():
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = b"a text that is long enough to be worth referring to"
    first, second = ((packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4] for _ in range(2))
    reader = InflatingReader(MAX, websocket_mask)
    assert fed(reader, client_frame(first, first=0xC1)) == [(TEXT, text.decode())]
    with pytest.raises(FrameError) as caught:
        fed(reader, client_frame(second, first=0xC1))
    assert caught.value.code == INVALID_DATA


@pytest.mark.parametrize("size", [100, 50_000])
def test_a_message_may_have_exactly_the_maximum_size(size):
    assert read(client_frame(as_client(b"a" * size), first=0xC2), max_size=size) == [(BINARY, b"a" * size)]
    assert refused(client_frame(as_client(b"a" * (size + 1)), first=0xC2), max_size=size) == TOO_BIG


def test_a_zip_bomb_is_not_inflated(monkeypatch):
    inflated = []
    make = zlib.decompressobj

    class Watched:
        def __init__(self, bits):
            self._stream = make(bits)

        def decompress(self, data, most):
            inflated.append(len(message := self._stream.decompress(data, most)))
            return message

    bomb = as_client(bytes(50_000_000))
    assert len(bomb) < MAX
    monkeypatch.setattr(zlib, "decompressobj", Watched)
    assert refused(client_frame(bomb, first=0xC2)) == TOO_BIG
    assert inflated == [LARGE_INFLATED, MAX + 1]


@pytest.mark.parametrize(("size", "announced"), [(LARGE_INFLATED - 1, []), (LARGE_INFLATED, [ANNOUNCEMENT])])
def test_a_compressed_message_is_announced_if_it_is_large_once_inflated(size, announced):
    messages = InflatingReader(MAX, websocket_mask).feed(client_frame(as_client(b"a" * size), first=0xC2))
    assert [*messages] == [*announced, (BINARY, b"a" * size)]


def test_the_compressed_size_is_limited_before_it_is_buffered():
    assert refused(client_frame(b"", first=0xC2)[:1] + b"\xfe\xff\xff", max_size=1000) == TOO_BIG
    assert refused(client_frame(bytes(600), first=0x42) + client_frame(bytes(600), first=0x80), 1000) == TOO_BIG


def test_a_compressed_message_may_be_fragmented_with_pings_between():
    packed = as_client(b"Hello" * 100)
    parts = [packed[at : at + 3] for at in range(0, len(packed), 3)]
    raw = client_frame(parts[0], first=0x41)
    for part in parts[1:]:
        raw += client_frame(part, first=CONTINUATION) + client_frame(b"?", PING)
    raw += client_frame(b"", first=0x80 | CONTINUATION)
    assert read(raw) == [(PING, b"?")] * (len(parts) - 1) + [(TEXT, "Hello" * 100)]
    # In any pieces the result is the same.
    for cut in range(len(raw)):
        reader = InflatingReader(MAX, websocket_mask)
        assert fed(reader, raw[:cut]) + fed(reader, raw[cut:]) == read(raw)


def test_uncompressed_messages_are_accepted():
    raw = client_frame("é") + client_frame("a" * 300) + client_frame(b"\x01")
    raw += client_frame(as_client(b"x"), first=0xC1)
    raw += client_frame("a", first=TEXT) + client_frame("b", first=0x80) + client_frame("c")
    assert read(raw) == [(TEXT, "é"), (TEXT, "a" * 300), (BINARY, b"\x01"), (TEXT, "x"), (TEXT, "ab"), (TEXT, "c")]


@pytest.mark.parametrize("first", [0xC0, 0x40, 0xC8, 0xC9, 0xCA, 0xE1, 0xD1, 0xF2, 0xA1, 0x91, 0xC3, 0xCB, 0x49])
def test_rsv1_is_allowed_in_the_first_frame_only(first):
    assert refused(client_frame(b"\x00", first=0x41) + client_frame(b"\x00", first=first)) == PROTOCOL_ERROR
    assert refused(client_frame(b"\x00", first=first)) == PROTOCOL_ERROR


@pytest.mark.parametrize("first", [0xC1, 0xC2, 0x41, 0x42])
def test_a_message_within_a_fragmented_message_is_refused(first):
    assert refused(client_frame(b"\x00", first=0x41) + client_frame(b"\x00", first=first)) == PROTOCOL_ERROR


@pytest.mark.parametrize("first", [0xC1, 0xC2, 0x41, 0x42])
def test_rsv1_is_refused_without_the_extension(first):
    with pytest.raises(FrameError) as caught:
        fed(FrameReader(MAX, websocket_mask), client_frame(b"\x00", first=first))
    assert caught.value.code == PROTOCOL_ERROR


def test_inflated_text_must_be_utf8():
    assert refused(client_frame(as_client(b"\xff\xfe"), first=0xC1)) == INVALID_DATA
    assert read(client_frame(as_client(b"\xff\xfe"), first=0xC2)) == [(BINARY, b"\xff\xfe")]
    assert read(client_frame(as_client("é".encode()), first=0xC1)) == [(TEXT, "é")]


def test_messages_before_an_error_are_delivered():
    found = []
    raw = client_frame("a") + client_frame(as_client(b"b"), first=0xC1) + client_frame(b"\xff", first=0xC1)
    with pytest.raises(FrameError):
        fed(InflatingReader(MAX, websocket_mask), raw, found)
    assert found == [(TEXT, "a"), (TEXT, "b")]
