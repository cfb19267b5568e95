"""Payloads of long polling in revisions 4 and 3; an invalid one raises nothing but `PayloadError`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol.engineio_packets import (
    MESSAGE,
    SEPARATOR,
    PayloadError,
    decode,
    decode3,
    decode3_binary,
    decode_binary,
    decode_packet,
    encode,
    encode3,
    encode3_binary,
    encode_binary,
)

MANY = 1000
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=SEPARATOR)
TEXTS = st.builds(lambda kind, data: kind + data, st.sampled_from("0123456"), st.text(CHARACTERS, max_size=40))
PARTS = st.lists(st.one_of(TEXTS, st.binary(max_size=40)), min_size=1, max_size=8)


def packets(parts):
    return [(MESSAGE, part) if isinstance(part, bytes) else (part[0], part[1:]) for part in parts]


@given(PARTS)
def test_revision_4_round_trips(parts):
    assert decode(encode(parts), MANY) == packets(parts)


@given(PARTS)
def test_revision_3_round_trips_as_text(parts):
    assert decode3(encode3(parts), MANY) == packets(parts)


@given(PARTS)
def test_revision_3_round_trips_as_bytes(parts):
    assert decode3_binary(encode3_binary(parts), MANY) == packets(parts)


@given(st.binary(max_size=40))
@pytest.mark.parametrize("revision", [3, 4])
def test_a_binary_message_round_trips_as_text(revision, data):
    assert decode_packet(encode_binary(data, revision), revision) == (MESSAGE, data)


def test_the_examples_of_the_protocol():
    assert encode(["4hello", "2", "4€"]) == "4hello\x1e2\x1e4€"
    assert encode(["4hello", b"\x01\x02\x03\x04"]) == "4hello\x1ebAQIDBA=="
    assert encode3(["40", '42["hello",1]']) == '2:4013:42["hello",1]'
    assert encode3(["4€", b"\x01\x02\x03"]) == "2:4€6:b4AQID"
    assert encode3([]) == "0:"
    assert encode3_binary([b"\x01\x02\x03", "4é"]) == b"\x01\x04\xff\x04\x01\x02\x03\x00\x03\xff4\xc3\xa9"
    assert decode_binary(b"\x04\x01", 3) == decode_binary(b"\x01", 4) == b"\x01"


def test_revision_3_counts_a_character_beyond_the_bmp_as_two():
    assert encode3(["4😀", "2"]) == "3:4😀1:2"
    assert decode3("3:4😀1:2", MANY) == [("4", "😀"), ("2", "")]
    with pytest.raises(PayloadError):
        decode3("2:4😀1:2", MANY)


def test_revision_3_skips_empty_packets():
    assert decode3("0:2:4a", MANY) == [("4", "a")]
    assert decode3("0:2:4é", MANY) == [("4", "é")]


@pytest.mark.parametrize("packet", ["", "7", "9x", "a", "é", "B", " 4", "²"])
def test_a_packet_without_a_type_is_rejected(packet):
    for revision in (3, 4):
        with pytest.raises(PayloadError):
            decode_packet(packet, revision)


@pytest.mark.parametrize("body", ["", SEPARATOR, "4a" + SEPARATOR, SEPARATOR + "4a", "4a\x1ex", "b!", "bAQI", "bA\n="])
def test_invalid_payloads_of_revision_4(body):
    with pytest.raises(PayloadError):
        decode(body, MANY)


@pytest.mark.parametrize("body", ["", "4a", ":4a", "3:4a", "-1:4a", "1e1:4a", "+2:4a", "²:4a", "2:4a1", "99999999999999:4", "5:b4A=", "3:bAQ"])  # fmt: skip  # noqa: E501
def test_invalid_text_payloads_of_revision_3(body):
    with pytest.raises(PayloadError):
        decode3(body, MANY)


@pytest.mark.parametrize(
    "body",
    [b"\x00", b"\x00\xff", b"\x02\x01\xff4", b"\x00\x0a\xff4",
     b"\x00\x02\xff4", b"\x01\x01\xff\x03", b"\x00\x01\xff\xff", b"\x01\x00\xff",
     b"\x00" + b"\x01" * 400 + b"\xff4", b"4a"],
)  # fmt: skip
def test_invalid_binary_payloads_of_revision_3(body):
    with pytest.raises(PayloadError):
        decode3_binary(body, MANY)


@pytest.mark.parametrize(("codec", "body"), [(decode, "4a\x1e4b\x1e4c"), (decode3, "2:4a2:4b2:4c"), (decode3_binary, b"\x00\x01\xff4" * 3)])  # fmt: skip  # noqa: E501
def test_the_packets_of_a_payload_are_limited(codec, body):
    assert len(codec(body, 3)) == 3
    with pytest.raises(PayloadError):
        codec(body, 2)


@given(st.text(max_size=60))
def test_garbage_as_text_gives_packets_or_a_payload_error(body):
    for codec in (decode, decode3):
        with suppress(PayloadError):
            assert all(kind in "0123456" for kind, _ in codec(body, MANY))


@given(st.text("0123:b4é😀", max_size=30))
def test_near_misses_of_revision_3_give_packets_or_a_payload_error(body):
    with suppress(PayloadError):
        decode3(body, MANY)


@given(st.lists(st.sampled_from([b"\x00", b"\x01", b"\x02", b"\xff", b"\x04", b"4", b"a"]), max_size=30).map(b"".join))
def test_garbage_as_bytes_gives_packets_or_a_payload_error(body):
    with suppress(PayloadError):
        decode3_binary(body, MANY)
