"""Every case of Engine.IO's public test suite, for revision 4 and where it has one for revision 3 too.

Source: https://github.com/socketio/socket.io/tree/main/docs/engine.io-protocol (the cases, not the code).
"""

from __future__ import annotations

import asyncio
import json

import pytest

from rtserver.protocol.frames import BINARY
from tests.engine.conftest import eventually
from tests.engine.wire import request

INTERVAL, TIMEOUT = 0.3, 0.2
SEPARATOR = "\x1e"
REVISIONS = pytest.mark.parametrize("revision", [4, 3])


@pytest.fixture
async def served(serve):
    return await serve(ping_interval=INTERVAL, ping_timeout=TIMEOUT, echo=True)


def payload(revision, *packets):
    return SEPARATOR.join(packets) if revision == 4 else "".join(f"{len(packet)}:{packet}" for packet in packets)


def opened(text):
    return json.loads(text[text.index("{") :])


class Client:
    """A client that polls, written as the suite's: each request on a connection of its own."""

    def __init__(self, served, revision):
        self.served, self.revision, self.sid = served, revision, None

    def query(self, transport="polling"):
        return f"EIO={self.revision}&transport={transport}" + (f"&sid={self.sid}" if self.sid else "")

    async def open(self):
        answer = await self.served.ask(request("GET", self.query()))
        assert answer.status == 200
        self.sid = opened(answer.text)["sid"]
        return self

    async def post(self, *packets):
        body = payload(self.revision, *packets).encode()
        return await self.served.ask(request("POST", self.query(), body))

    async def poll(self, text=None):
        answer = await self.served.ask(request("GET", self.query()))
        if text is not None:
            assert (answer.status, answer.text) == (200, payload(self.revision, *text))
        return answer

    async def hanging(self):
        wire = await self.served.wire()
        await wire.send(request("GET", self.query()))
        session = self.served.engine.sockets[self.sid]
        await eventually(lambda: session.poll is not None)
        return wire

    async def websocket(self):
        wire = await self.served.wire()
        await wire.upgrade(self.query("websocket"))
        if self.sid is None:
            assert await wire.opened()
        return wire

    async def probed(self):
        wire = await self.websocket()
        await wire.frame("2probe")
        assert await wire.text() == "3probe"
        return wire


@pytest.fixture
async def client(serve, revision):
    served = await serve(ping_interval=INTERVAL, ping_timeout=TIMEOUT, echo=True, allow_eio3=revision == 3)
    return Client(served, revision)


# Handshake.


@REVISIONS
async def test_polling_opens_a_session(client):
    answer = await client.served.ask(request("GET", client.query()))
    assert answer.status == 200
    if client.revision == 3:
        length, _, packet = answer.text.partition(":")
        assert int(length) == len(packet)
    check_open(opened(answer.text), ["websocket"])


@REVISIONS
async def test_a_websocket_opens_a_session(client):
    wire = await client.served.wire()
    await wire.upgrade(client.query("websocket"))
    packet = await wire.text()
    assert packet[0] == "0"
    check_open(json.loads(packet[1:]), [])


def check_open(value, upgrades):
    assert isinstance(value.pop("sid"), str)
    assert value == {"upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


@pytest.mark.parametrize(
    "query", ["transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc", "EIO=abc"]
)
async def test_a_handshake_with_an_invalid_query_fails(served, query):
    assert (await served.ask(request("GET", query))).status == 400


@pytest.mark.parametrize(
    "query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"]
)
async def test_a_websocket_with_an_invalid_query_is_closed(served, query):
    wire = await served.wire()
    await wire.send(
        request("GET", query, Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Version="13",
                Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==")
    )  # fmt: skip
    assert (await wire.answer()).status == 400
    assert await wire.ended() == b""


@REVISIONS
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_handshake_with_another_method_fails(client, method):
    assert (await client.served.ask(request(method, client.query(), b""))).status == 400


# Messages.


@REVISIONS
@pytest.mark.parametrize("packets", [["4hello"], ["4test1", "4test2", "4test3"]])
async def test_packets_of_text_are_sent_and_received_by_polling(client, packets):
    await client.open()
    assert (await client.post(*packets)).text == "ok"
    await client.poll(packets)


@pytest.mark.parametrize("revision", [4])
async def test_text_and_binary_packets_are_sent_and_received_by_polling(client):
    await client.open()
    assert (await client.post("4hello", "bAQIDBA==")).text == "ok"
    await client.poll(["4hello", "bAQIDBA=="])


async def test_text_and_binary_packets_of_revision_3_are_received_as_base64(serve):
    client = Client(await serve(allow_eio3=True, echo=True), 3)
    answer = await client.served.ask(request("GET", "EIO=3&transport=polling&b64=1"))
    client.sid = opened(answer.text)["sid"]
    assert (await client.post("4hello", "b4AQIDBA==")).text == "ok"
    await client.poll(["4hello", "b4AQIDBA=="])


@REVISIONS
@pytest.mark.parametrize("body", [b"abc", b"", b"99:4x", b"\xff"])
async def test_a_post_that_is_no_packet_ends_the_session(client, body):
    await client.open()
    assert (await client.served.ask(request("POST", client.query(), body))).status == 400
    assert (await client.poll()).status == 400


@REVISIONS
async def test_a_second_poll_ends_the_session(client):
    await client.open()
    first = await client.hanging()
    assert (await client.poll()).status == 400
    answer = await first.answer()
    assert (answer.status, answer.text) == (200, payload(client.revision, "1"))
    assert (await client.poll()).status == 400


@REVISIONS
async def test_a_poll_that_is_given_up_ends_the_session(client):
    await client.open()
    first = await client.hanging()
    first.abort()
    await eventually(lambda: client.sid not in client.served.engine.sockets)
    assert (await client.poll()).status == 400


@REVISIONS
async def test_text_is_sent_and_received_over_a_websocket(client):
    wire = await client.websocket()
    await wire.frame("4hello")
    assert await wire.text() == "4hello"


@REVISIONS
async def test_binary_is_sent_and_received_over_a_websocket(client):
    wire = await client.websocket()
    data = b"\x01\x02\x03\x04" if client.revision == 4 else b"\x04\x01\x02\x03\x04"
    await wire.frame(data)
    assert await wire.receive() == (BINARY, data)


@REVISIONS
async def test_a_frame_that_is_no_packet_closes_the_websocket(client):
    wire = await client.websocket()
    await wire.frame("abc")
    assert await wire.close_code() == 1000


# Heartbeat.


@pytest.mark.parametrize("revision", [4])
async def test_pings_and_pongs_go_by_polling(client):
    await client.open()
    for _ in range(3):
        await client.poll(["2"])
        assert (await client.post("3")).status == 200


@pytest.mark.parametrize("revision", [3])
async def test_pings_and_pongs_of_revision_3_go_by_polling(client):
    await client.open()
    for _ in range(3):
        assert (await client.post("2")).status == 200
        await client.poll(["3"])


@REVISIONS
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_at_the_very_end_of_the_heartbeat_is_too_late(client, method):
    await client.open()
    await asyncio.sleep(INTERVAL + TIMEOUT)
    body = payload(client.revision, "3" if client.revision == 4 else "2").encode() if method == "POST" else None
    assert (await client.served.ask(request(method, client.query(), body))).status == 400


@REVISIONS
@pytest.mark.parametrize("others", [1, 7, 20])
async def test_the_end_of_the_heartbeat_does_not_depend_on_the_phase_of_the_timers(client, others):
    """Sessions that opened at other times keep the timers running."""
    for _ in range(others):
        await Client(client.served, client.revision).open()
        await asyncio.sleep(0.0037)
    await client.open()
    await asyncio.sleep(INTERVAL + TIMEOUT)
    assert (await client.poll()).status == 400


@pytest.mark.parametrize("revision", [4])
async def test_pings_and_pongs_go_over_a_websocket(client):
    wire = await client.websocket()
    for _ in range(3):
        assert await wire.text() == "2"
        await wire.frame("3")


@pytest.mark.parametrize("revision", [3])
async def test_pings_and_pongs_of_revision_3_go_over_a_websocket(client):
    wire = await client.websocket()
    for _ in range(3):
        await wire.frame("2")
        assert await wire.text() == "3"


@REVISIONS
async def test_a_websocket_without_heartbeat_is_closed(client):
    wire = await client.websocket()
    assert await wire.close_code() == 1000


# Closing.


@REVISIONS
async def test_a_close_packet_ends_a_polling_session(client):
    await client.open()
    wire = await client.hanging()
    assert (await client.post("1")).status == 200
    answer = await wire.answer()
    assert (answer.status, answer.text) == (200, payload(client.revision, "6"))
    assert (await client.poll()).status == 400


@REVISIONS
async def test_a_close_packet_closes_the_websocket(client):
    wire = await client.websocket()
    await wire.frame("1")
    assert await wire.close_code() == 1000


# Upgrade.


@REVISIONS
async def test_a_session_upgrades_from_polling_to_websocket(client):
    await client.open()
    wire = await client.probed()
    await client.poll(["6"])
    await wire.frame("5", "4hello")
    assert await wire.text() == "4hello"


@REVISIONS
async def test_http_requests_are_refused_after_the_upgrade(client):
    await client.open()
    wire = await client.probed()
    await wire.frame("5")
    await eventually(lambda: client.served.engine.transport(client.sid) == "websocket")
    assert (await client.poll()).status == 400
    await wire.frame("4hello")
    assert await wire.text() == "4hello"


@REVISIONS
async def test_another_websocket_is_closed_after_the_upgrade(client):
    await client.open()
    wire = await client.probed()
    await wire.frame("5")
    await eventually(lambda: client.served.engine.transport(client.sid) == "websocket")
    second = await client.websocket()
    assert await second.close_code() == 1000
    await wire.frame("4hello")
    assert await wire.text() == "4hello"
