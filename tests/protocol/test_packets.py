"""Socket.IO packets: each rule of `rtserver.protocol.packets`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol.packets import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    MAX_CONNECT_LENGTH,
    MAX_CONNECT_VALUES,
    MAX_NAMESPACE_LENGTH,
    RESERVED_EVENTS,
    Assembler,
    EmptyEvent,
    NotJoined,
    Packet,
    PacketError,
    decode,
    decode_event,
    encode,
    has_binary,
    head,
)
from tests.protocol.test_json import VALUES

WITH_BYTES = st.recursive(
    VALUES | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
NAMESPACES = st.just("/") | st.from_regex(r"/[a-z0-9_/-]{1,20}", fullmatch=True)
IDS = st.none() | st.integers(0, 10**100 - 1)


def received(encoded, max_attachments=1000):
    """Decode an encoded packet as the other side would."""
    text, *attachments = encoded
    packet = decode(text.decode(), max_attachments)
    if not packet.attachments:
        assert not attachments
        return packet
    assembler = Assembler(packet, max_attachments, 10**6)
    whole = [assembler.add(attachment) for attachment in attachments]
    assert whole[:-1] == [None] * (len(attachments) - 1)
    return whole[-1]


@given(NAMESPACES, IDS, st.lists(WITH_BYTES, max_size=4))
def test_events_round_trip(namespace, id, args):
    packet = received(encode(EVENT, namespace, ["news", *args], id))
    assert (packet.type, packet.namespace, packet.id, packet.data) == (EVENT, namespace, id, ["news", *args])


@given(NAMESPACES, IDS, st.lists(WITH_BYTES, max_size=4))
def test_acks_round_trip(namespace, id, args):
    packet = received(encode(ACK, namespace, args, id))
    assert (packet.type, packet.namespace, packet.id, packet.data) == (ACK, namespace, id, args)


@given(st.text(max_size=60) | st.from_regex(r"[0-6]([0-9]{0,3}-)?(/[a-z]{0,3},?)?[0-9]{0,17}[\[{].{0,30}"))
def test_garbage_raises_packet_errors_only(text):
    try:
        packet = decode(text)
    except PacketError:
        return
    assert packet.type in range(5)


@given(WITH_BYTES, st.lists(st.binary(max_size=3), min_size=1, max_size=5))
def test_garbled_attachments_raise_packet_errors_only(value, attachments):
    packet = Packet(EVENT, "/", ["x", value, {"_placeholder": True, "num": 0}], None, len(attachments))
    assembler = Assembler(packet, 10, 100)
    try:
        whole = [assembler.add(attachment) for attachment in attachments][-1]
    except PacketError:
        return
    assert whole is not None


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(CONNECT, "/")),
        ("0{}", Packet(CONNECT, "/", {})),
        ("0/chat,", Packet(CONNECT, "/chat")),
        ("0/chat", Packet(CONNECT, "/chat")),
        ('0/chat,{"token":"t"}', Packet(CONNECT, "/chat", {"token": "t"})),
        ("1", Packet(DISCONNECT, "/")),
        ("1/chat,", Packet(DISCONNECT, "/chat")),
        ('2["a"]', Packet(EVENT, "/", ["a"])),
        ('2/chat,0["a",1]', Packet(EVENT, "/chat", ["a", 1], 0)),
        ("2[5]", Packet(EVENT, "/", [5])),
        ('2["a",{"_placeholder":true,"num":0}]', Packet(EVENT, "/", ["a", {"_placeholder": True, "num": 0}])),
        ("3/chat,12[]", Packet(ACK, "/chat", [], 12)),
        ("3999999999999999[]", Packet(ACK, "/", [], 999999999999999)),
        ('212345678901234567["a"]', Packet(EVENT, "/", ["a"], 12345678901234567)),
        ("2/t," + "9" * 100 + '["a"]', Packet(EVENT, "/t", ["a"], int("9" * 100))),
        ('3/t,["x"]', Packet(ACK, "/t", ["x"])),
        ("3/t,12345678901234567890", Packet(ACK, "/t", None, 12345678901234567890)),
        ("3", Packet(ACK, "/")),
        ("2", Packet(EVENT, "/")),
        ("2/t,", Packet(EVENT, "/t")),
        ("2/t,7", Packet(EVENT, "/t", None, 7)),
        ("51-/t,", Packet(EVENT, "/t", None, None, 1)),
        ("61-7", Packet(ACK, "/", None, 7, 1)),
        ('0/t,7{"token":"[t]"}', Packet(CONNECT, "/t", {"token": "[t]"}, 7)),
        ("0/t,7", Packet(CONNECT, "/t", None, 7)),
        ("17", Packet(DISCONNECT, "/", None, 7)),
    ],
)
def test_valid_packets(text, packet):
    assert decode(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "7", "9[]", "-1", "٢[1]",  # no such type
        "0[]", '0"token"', "0null", "0/chat,[]", "0true",  # rule 1: CONNECT
        "1{}", "1[]", "1null",  # rule 1: DISCONNECT
        "2[]", "2{}", "2[{}]", "2[null]", "2[true]", "2[[]]", '2"a"', "2null", '2["a"',  # rule 1: EVENT
        "3{}", "31{}", "3null", "31null", "3/t,x",  # rule 1: ACK
        "4{}", '4{"message":"no"}', "4", '4"x"',  # only servers refuse
        *(f'2["{name}"]' for name in sorted(RESERVED_EVENTS)),  # rule 2
        *(f'51-["{name}",{{"_placeholder":true,"num":0}}]' for name in sorted(RESERVED_EVENTS)),
        '5["a"]', '50-["a"]', '511-["a"]', '5-1-["a"]', '5-["a"]', '51["a"]', '5١-["a"]', '51.0-["a"]',  # rule 3
        "599999999999999-[]", '51-[{"_placeholder":true,"num":0}]', "51-[]", "61-{}", "5", "6",
        '2' + "1" * 101 + '["a"]', "3" + "9" * 101 + "[]", "3" + "9" * 101, "2" + "9" * 100_000, "2٢[1]",  # rule 4
        '2-1["a"]', '21.5["a"]', '21e3["a"]', "21x", "27{}", "2/t,7x",
        '2["a",NaN]', '2["price",{"price":Infinity}]', '2["a"]x', "2" + "[" * 100_000,
        "0/" + "x" * MAX_NAMESPACE_LENGTH, "0/" + "x" * MAX_NAMESPACE_LENGTH + ",{}",
        '0{"token":"' + "x" * MAX_CONNECT_LENGTH + '"}',  # rule 5
        '0{"token":[' + "0," * MAX_CONNECT_VALUES + "0]}", '0{"a":{"b":[' + "[]," * MAX_CONNECT_VALUES + "0]}}",
        "0{" + "".join(f'"{at}":0,' for at in range(MAX_CONNECT_VALUES)) + '"x":0}',
    ],
)  # fmt: skip
def test_a_violated_rule_is_an_error(text):
    with pytest.raises(PacketError):
        decode(text)


@pytest.mark.parametrize(
    ("text", "namespace"), [("2", "/"), ("2/t,", "/t"), ("2/t", "/t"), ("2/t,17", "/t"), ("217", "/")]
)
def test_an_event_without_payload_is_known_by_its_namespace(text, namespace):
    with pytest.raises(EmptyEvent):
        decode_event(text, {namespace: "client"})
    with pytest.raises(NotJoined) as caught:
        decode_event(text, {"/other": "client"})
    assert caught.value.namespace == namespace


@pytest.mark.parametrize("text", ['2["a"', '2/t,["a"]', "2/t,5x", "2/t,[[[[[", '2/t,["a","\\ud800\n"]'])
def test_the_payload_of_an_event_for_a_namespace_that_is_not_joined_is_not_parsed(text, monkeypatch):
    monkeypatch.delattr("rtserver.protocol.packets.json")
    with pytest.raises(NotJoined):
        decode_event(text, {"/other": "client"}, 64)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('2["a"', (EVENT, "/", None, 0, 1)),
        ('3/t,12["a"', (ACK, "/t", 12, 0, 6)),
        ('52-/t,["a"', (EVENT, "/t", None, 2, 6)),
        ("61-7[", (ACK, "/", 7, 1, 4)),
        ("0/t,{", (CONNECT, "/t", None, 0, 4)),
        ("1", (DISCONNECT, "/", None, 0, 1)),
    ],
)
def test_what_stands_before_a_payload_is_known_without_it(text, expected):
    assert head(text) == expected


def test_half_an_emoji_does_not_close_the_connection():
    assert decode('2["say","cut \\ud83d"]').data == ["say", "cut \ufffd"]
    assert decode_event('2["say","cut \\ud83d"]', {"/": 1}) == (1, ["say", "cut \ufffd"], None)


def test_the_number_of_attachments_is_limited():
    assert decode('53-["a"]', max_attachments=3).attachments == 3
    with pytest.raises(PacketError, match="number of attachments"):
        decode('54-["a"]', max_attachments=3)


PLACE = '{"_placeholder":true,"num":%s}'


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f'51-["a",{PLACE % 1}]', 1),
        (f'51-["a",{PLACE % -1}]', 1),
        (f'51-["a",{PLACE % "true"}]', 1),
        (f'51-["a",{PLACE % "null"}]', 1),
        ('51-["a",{"_placeholder":true}]', 1),
        (f'51-["a",{PLACE % 1.0}]', 1),
        (f'51-["a",{PLACE % -0.5}]', 1),
        ('51-["a",{"_placeholder":true,"num":"0"}]', 1),
        (f'52-["a",{PLACE % 2}]', 2),
    ],
)
def test_a_placeholder_without_attachment_is_an_error(text, count):
    assembler = Assembler(decode(text), 10, 1000)
    for _ in range(count - 1):
        assert assembler.add(b"x") is None
    with pytest.raises(PacketError):
        assembler.add(b"x")


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (f'["a",{PLACE % 0},{PLACE % 0}]', ["a", b"x", b"x"]),
        (f'["a",{PLACE % 1},{{"deep":[{PLACE % 1}]}}]', ["a", b"y", {"deep": [b"y"]}]),
        (f'["a",{PLACE % "0.0"},{PLACE % "1.0"}]', ["a", b"x", b"y"]),
        (f'["a",{PLACE % "0.5"}]', ["a", None]),
        ('["a"]', ["a"]),
        ('["a",{"_placeholder":"true","num":0}]', ["a", {"_placeholder": "true", "num": 0}]),
        ("", None),
    ],
)
def test_attachments_may_be_used_twice_or_not_at_all(payload, data):
    assembler = Assembler(decode(f"52-{payload}"), 10, 1000)
    assert assembler.add(b"x") is None
    assert assembler.add(b"y") == Packet(EVENT, "/", data, None, 2)


@pytest.mark.parametrize(("references", "size"), [(11, 1), (11, 0), (3, 400), (2, 501)])
def test_an_attachment_cannot_be_multiplied_without_limit(references, size):
    packet = f'51-["a"{f",{PLACE % 0}" * references}]'
    with pytest.raises(PacketError, match="too often"):
        Assembler(decode(packet), 10, 1000).add(bytes(size))


def test_a_connect_may_have_many_values():
    data = {f"{at}": [at] for at in range(MAX_CONNECT_VALUES // 2)}
    assert decode(encode(CONNECT, "/", data)[0].decode()).data == data


def test_placeholders_may_be_anywhere_in_the_payload():
    assembler = Assembler(decode(f'52-/chat,7["a",{{"b":[{PLACE % 1}]}},{PLACE % 0}]'), 10, 1000)
    assert assembler.add(b"first") is None
    assert assembler.add(b"second") == Packet(EVENT, "/chat", ["a", {"b": [b"second"]}, b"first"], 7, 2)


def test_bytes_of_every_kind_are_sent_as_attachments():
    encoded = encode(EVENT, "/", ["a", b"1", bytearray(b"2"), (memoryview(b"3"),)])
    assert encoded[1:] == (b"1", b"2", b"3")
    assert all(type(attachment) is bytes for attachment in encoded[1:])
    assert not has_binary(["a", 1, {"b": None}])


def test_refusals_and_connects_are_encoded():
    assert encode(CONNECT, "/chat", {"sid": "x"}) == (b'0/chat,{"sid":"x"}',)
    assert encode(CONNECT_ERROR, "/", {"message": "no"}) == (b'4{"message":"no"}',)
    assert encode(DISCONNECT, "/chat") == (b"1/chat,",)
