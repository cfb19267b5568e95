"""Prepared messages: encoded once for each encoding that a recipient needs."""

from __future__ import annotations

import pytest

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.protocol.frames import BINARY, TEXT, frame

MESSAGE = PreparedMessage("451-é".encode(), b"\x01\x02", b"\x03")
FORMS = [
    (4, False, [frame("451-é".encode(), TEXT), frame(b"\x01\x02", BINARY), frame(b"\x03", BINARY)]),
    (4, True, [frame("451-é".encode(), TEXT), frame(b"bAQI=", TEXT), frame(b"bAw==", TEXT)]),
    (3, False, [frame("451-é".encode(), TEXT), frame(b"\x04\x01\x02", BINARY), frame(b"\x04\x03", BINARY)]),
    (3, True, [frame("451-é".encode(), TEXT), frame(b"b4AQI=", TEXT), frame(b"b4Aw==", TEXT)]),
]


@pytest.mark.parametrize(("revision", "base64", "frames"), FORMS)
def test_each_client_gets_its_encoding(revision, base64, frames):
    assert MESSAGE.frames_for(revision, base64) == b"".join(frames)


def test_the_common_encoding_is_that_of_revision_4():
    assert MESSAGE.frames == MESSAGE.frames_for(4, False)


@pytest.mark.parametrize(("revision", "base64"), [(4, False), (4, True), (3, False), (3, True)])
def test_it_is_encoded_once_for_all_recipients(revision, base64):
    assert MESSAGE.frames is MESSAGE.frames
    assert MESSAGE.frames_for(revision, base64) is MESSAGE.frames_for(revision, base64)
    text = PreparedMessage(b"42[]")
    assert text.frames_for(revision, base64) is text.frames


def test_its_parts_and_size_are_those_of_its_packets():
    assert MESSAGE.parts == ("451-é", b"\x01\x02", b"\x03")
    assert MESSAGE.size == 6 + 2 + 1


def test_a_binary_message_without_text():
    message = PreparedMessage.binary(b"\x01")
    assert message.parts == (b"\x01",)
    assert message.frames == frame(b"\x01", BINARY)
    assert message.frames_for(3, False) == frame(b"\x04\x01", BINARY)
    assert message.size == 1
