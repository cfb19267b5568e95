"""Hostile packets: each protocol error closes that connection, runs no handler and affects no other client."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import aiohttp
import msgpack
import pytest

from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import eventually
from tests.sio.raw import connect_packet


class Open(Namespace, path="/"):
    """Open to all clients; `seen` lists the handlers that ran."""

    auth = "none"

    def __init__(self):
        self.seen = []
        self.gate = asyncio.Event()

    async def on_connect(self, client):
        self.seen.append("on_connect")

    async def on_disconnect(self, client, reason):
        self.seen.append(f"on_disconnect {reason}")

    @event("echo")
    async def echo(self, client, *args):
        self.seen.append("echo")
        return args

    @event("*")
    async def rest(self, client, name, *args):
        self.seen.append(name)
        return name

    @event("wait", rate=None)
    async def wait(self, client, number=0):
        self.seen.append(f"wait {number}")
        await self.gate.wait()
        self.seen.append(f"waited {number}")


class Other(Open, path="/other"):
    pass


@pytest.fixture
async def served(serve):
    return await serve(Open(), Other(), max_attachments=3)


def seen(served):
    return served.server.namespaces_by_path["/"].seen


PLACE = '{"_placeholder":true,"num":0}'


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
@pytest.mark.parametrize("arguments", ["", ',{"HTTP_X":"forged"},{"token":"t"}'])
async def test_a_forged_lifecycle_event_runs_no_handler_and_closes_the_connection(served, raw, name, arguments):
    client = await raw(served.url)
    await client.connect()
    await client.send(f'2["{name}"{arguments}]')
    assert await client.closed() == []
    await served.deserted()
    assert seen(served) == ["on_connect", "on_disconnect parse error"]


@pytest.mark.parametrize(
    "packets",
    [
        ["0"], ["2[]"], ["2[{}]"], ["2/nowhere,"], ["2/other,"], ["2{}"], ["2[null]"], ["7"], ["x"], [b"stray"],
        ["0[]"], ['0"token"'], ['0/other,["array"]'], ['0/other,"string"'], [f'51-["a"{f",{PLACE}" * 4}]', b"x"],
        [f'51-["a",{PLACE}]', "2[1]"], [f'51-["a",{PLACE}]', '2["a"]'], [f'50-["a",{PLACE}]'],
        [f'54-["a",{PLACE}]'], [f'5-["a",{PLACE}]'], [f'599999999999-["a",{PLACE}]'],
        ['51-["a",{"_placeholder":true,"num":1}]', b"x"], ["2" + "9" * 101 + '["a"]'], ["3" + "9" * 101 + "[]"],
        ["3/nowhere,"], ['3/other,["x"]'], ["31{}"], ['4{"message":"no"}'], ['2/other,["a"]'],
        ["1/other,"], ['2/nowhere,["a"]'], ['2["a",NaN]'], ["2[NaN]"], ["NaN"], ["null"], ["true"], ["1.5"], ["{}"],
        ['{"a":1}'], ["[50,91,93]"], ["[]"], ['2["a",' + "[" * 5000 + "]" * 5000 + "]"], ["[" * 100_000], [""], ["-"],
        ["0/" + "x" * 300], ['0/other,{"t":"' + "x" * 70_000 + '"}'],
    ],
    ids=lambda packets: str(packets)[:50],
)  # fmt: skip
async def test_a_packet_that_breaks_the_protocol_closes_the_connection(served, raw, packets):
    client, bystander = await raw(served.url), await raw(served.url)
    await client.connect()
    await bystander.connect()
    await client.send(*packets)
    assert await client.closed() == []
    await eventually(lambda: len(served.server.connections) == 1)
    assert await bystander.call("/", "echo", 1) == [1]
    assert seen(served) == ["on_connect", "on_connect", "on_disconnect parse error", "echo"]


BAD_JSON = "[" * 50_000
UNWANTED = ["2{ns}" + BAD_JSON, "2{ns}7" + BAD_JSON, "3{ns}7" + BAD_JSON, "51-{ns}" + BAD_JSON, "61-{ns}7" + BAD_JSON]


@pytest.mark.parametrize("packet", UNWANTED, ids=lambda packet: packet[:7])
async def test_a_payload_for_a_namespace_that_is_not_joined_is_not_parsed(served, raw, packet, monkeypatch):
    client = await raw(served.url)
    await client.connect()
    monkeypatch.delattr("rtserver.protocol.packets.json")
    await client.send(packet.format(ns="/other,"))
    assert await client.closed() == []


@pytest.mark.parametrize("packet", UNWANTED, ids=lambda packet: packet[:7])
async def test_a_payload_for_a_namespace_that_was_left_is_neither_parsed_nor_missed(served, raw, packet):
    """It was under way when the client left. Its attachments follow it."""
    client = await raw(served.url)
    await client.connect()
    await client.connect("/other")
    await client.send("1/other,", packet.format(ns="/other,"))
    if packet[0] in "56":
        await client.send(b"attachment")
    assert await client.call("/", "echo", 1) == [1]


@pytest.mark.parametrize("kind", [2, 3])
async def test_the_msgpack_parser_decodes_no_payload_that_nobody_wants(serve, raw, kind):
    served = await serve(Open(), Other(), serializer="msgpack")

    def packet(type: int, nsp: str) -> bytes:
        head = msgpack.packb({"type": type, "nsp": nsp, "id": 1})
        return b"\x84" + head[1:] + b"\xa4data\x92\xa1a\xd4\x05\0"  # an extension that is not allowed

    left, stranger = await raw(served.url), await raw(served.url)
    await left.send(msgpack.packb({"type": 0, "nsp": "/other"}))
    assert msgpack.unpackb(await left.receive())["nsp"] == "/other"
    await left.send(msgpack.packb({"type": 1, "nsp": "/other"}), packet(kind, "/other"))
    await left.send(msgpack.packb({"type": 0, "nsp": "/"}))
    assert msgpack.unpackb(await left.receive())["nsp"] == "/"
    await stranger.send(packet(kind, "/other"))
    assert await stranger.closed() == []


GOES_ON = [
    ['3["x"]'], ["3[]"], ["3"], ["31"], ["3/,"], ['3123["x"]'], ["3" + "9" * 20 + "[]"], ["2"], ["2/,"], ["217"],
    ["51-", b"x"], ["61-", b"x"], ["61-7", b"x"], [f'61-[{PLACE}]', b"x"], ['52-["echo"]', b"x", b"y"],
]  # fmt: skip
"""Packets on which Node goes on: it finds no listener and no callback for them."""


@pytest.mark.parametrize("packets", GOES_ON, ids=lambda packets: str(packets)[:50])
async def test_a_packet_without_effect_leaves_the_connection_open(served, raw, packets):
    client = await raw(served.url)
    await client.connect()
    await client.send(*packets)
    assert await client.call("/", "echo", "still here") == ["still here"]


async def test_packets_without_effect_leave_a_polling_client_connected(served):
    async with aiohttp.ClientSession() as http:
        url = f"{served.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(url) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        encoded = [
            f"4{part}" if isinstance(part, str) else f"b{base64.b64encode(part).decode()}"
            for packets in GOES_ON
            for part in packets
        ]
        for body in ("40", *("\x1e".join(encoded[at : at + 10]) for at in range(0, len(encoded), 10)), '421["echo",1]'):
            async with http.post(f"{url}&sid={sid}", data=body) as answer:
                assert await answer.text() == "ok"
        answers = ""
        while "431[1]" not in answers:
            async with http.get(f"{url}&sid={sid}") as answer:
                assert answer.status == 200
                answers += await answer.text()


async def test_acks_without_values_or_with_long_ids_are_passed_on(serve, raw):
    class Asking(Namespace, path="/"):
        auth = "none"

        @event("ask")
        async def ask(self, client):
            return repr(await client.emit_with_ack("question"))

    served = await serve(Asking())
    client = await raw(served.url)
    await client.connect()
    await client.send('212345678901234567890["ask"]')
    assert await client.receive() == '20["question"]'
    await client.send("30")
    assert await client.receive() == '312345678901234567890["None"]'


async def test_an_attachment_may_be_referenced_twice(served, raw):
    client = await raw(served.url)
    await client.connect()
    await client.send(f'51-7["echo",{PLACE},{{"again":{PLACE}}}]', b"photo")
    assert await client.receive() == '62-7[{"_placeholder":true,"num":0},{"again":{"_placeholder":true,"num":1}}]'
    assert [await client.receive() for _ in range(2)] == [b"photo", b"photo"]


@pytest.mark.parametrize("message", ["x", "9", "", "4", "٤", "5", "0{}", "bnot base64"])
async def test_bytes_that_are_no_engine_packet_leave_nothing_behind(served, raw, message):
    client = await raw(served.url)
    await client.connect()
    await client.engine_send(message)
    await client.close()
    await served.deserted()


@pytest.mark.parametrize("packet", ['2["echo"]', "1", "31[]", "2/other,[1]", "0[]", f'51-["a",{PLACE}]', "61-0[]"])
async def test_packets_before_connect_are_not_handled(served, raw, packet):
    client = await raw(served.url)
    await client.send(packet)
    assert await client.closed() == []
    await served.deserted()
    assert seen(served) == []


async def test_packets_after_a_protocol_error_are_not_handled(served, raw):
    """Including packets in the same read."""
    client = await raw(served.url)
    await client.connect()
    await client.send("x", '2["echo"]', "0/other,", '2["echo"]')
    assert await client.closed() == []
    await served.deserted()
    assert seen(served) == ["on_connect", "on_disconnect parse error"]
    assert served.server.namespaces_by_path["/other"].seen == []


async def test_packets_after_a_protocol_error_in_one_polling_body_are_not_handled(served):
    async with aiohttp.ClientSession() as http:
        url = f"{served.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(url) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        async with http.post(f"{url}&sid={sid}", data="40") as answer:
            assert answer.status == 200
        async with http.get(f"{url}&sid={sid}") as answer:
            assert (await answer.text()).startswith("40{")
        async with http.post(f"{url}&sid={sid}", data="\x1e".join(['42["connect"]', '42["echo"]', '42["echo"]'])) as _:
            pass
    await served.deserted()
    assert seen(served) == ["on_connect", "on_disconnect parse error"]


async def test_an_unknown_namespace_is_refused_and_the_connection_stays_open(served, raw):
    client = await raw(served.url)
    assert await client.refused("/nowhere") == {"message": "Invalid namespace"}
    assert await client.refused("/" + "x" * 200) == {"message": "Invalid namespace"}
    await client.connect("/other")
    assert await client.call("/other", "echo", "x") == ["x"]


async def test_a_second_connect_during_the_first_closes_the_connection(serve, raw):
    class Slow(Open, path="/slow"):
        async def on_connect(self, client):
            await self.gate.wait()
            await super().on_connect(client)

    slow = Slow()
    served = await serve(slow)
    client = await raw(served.url)
    await client.send("0/slow,")
    await eventually(lambda: served.server._clients)
    await client.send("0/slow,")
    assert await client.closed() == []
    slow.gate.set()
    await served.deserted()
    # It was admitted before it was known to have left: both its handlers run.
    assert slow.seen == ["on_connect", "on_disconnect transport close"]


async def test_events_of_one_client_are_handled_in_order_behind_a_slow_one(served, raw):
    client = await raw(served.url)
    await client.connect()
    await client.send('21["wait",1]', '22["echo",2]', '23["quick",3]')
    namespace = served.server.namespaces_by_path["/"]
    await eventually(lambda: "wait 1" in namespace.seen)
    # Another client does not wait.
    other = await raw(served.url)
    await other.connect()
    assert await other.call("/", "echo", 9) == [9]
    assert namespace.seen == ["on_connect", "wait 1", "on_connect", "echo"]
    namespace.gate.set()
    assert [await client.receive() for _ in range(3)] == ["31[]", "32[2]", '33["quick"]']
    assert namespace.seen[4:] == ["waited 1", "echo", "quick"]


async def test_the_namespaces_of_one_connection_do_not_wait_for_each_other(served, raw):
    client = await raw(served.url)
    await client.connect()
    await client.connect("/other")
    await client.send('21["wait"]', '2/other,2["echo",5]')
    assert await client.receive() == "3/other,2[5]"
    served.server.namespaces_by_path["/"].gate.set()
    assert await client.receive() == "31[]"


async def test_a_handler_may_wait_for_an_ack_of_its_client(serve, raw):
    class Asking(Namespace, path="/"):
        auth = "none"

        @event("ask")
        async def ask(self, client):
            return await client.emit_with_ack("question", 1)

    served = await serve(Asking())
    client = await raw(served.url)
    await client.connect()
    await client.send('27["ask"]')
    assert await client.receive() == '20["question",1]'
    await client.send('30["answer"]')
    assert await client.receive() == '37["answer"]'


async def test_reading_pauses_while_the_backlog_is_full_and_no_event_is_lost(served, raw):
    client = await raw(served.url)
    await client.connect()
    await client.send('2["wait"]', *(f'2["echo",{number}]' for number in range(500)))
    namespace = served.server.namespaces_by_path["/"]
    (connection,) = served.server.connections.values()
    await eventually(lambda: connection.backlog.full)
    assert connection.backlog.events == 100
    namespace.gate.set()
    assert await client.call("/", "last") == ["last"]
    assert namespace.seen.count("echo") == 500
    assert (connection.backlog.events, connection.backlog.size) == (0, 0)


async def test_large_events_fill_the_backlog_sooner(served, raw):
    client = await raw(served.url)
    await client.connect()
    await client.send('2["wait"]', *['2["echo","' + "x" * 400_000 + '"]'] * 8)
    (connection,) = served.server.connections.values()
    await eventually(lambda: connection.backlog.full)
    assert connection.backlog.events == 3
    served.server.namespaces_by_path["/"].gate.set()
    assert await client.call("/", "last") == ["last"]


async def test_the_disconnect_handler_does_not_wait_for_the_events_before_it(served, raw):
    client = await raw(served.url)
    await client.connect()
    await client.send('2["wait"]', '2["echo"]')
    namespace = served.server.namespaces_by_path["/"]
    await eventually(lambda: "wait 0" in namespace.seen)
    await client.close()
    await eventually(lambda: len(namespace.seen) == 3)
    namespace.gate.set()
    await eventually(lambda: len(namespace.seen) == 5)
    assert namespace.seen == ["on_connect", "wait 0", "on_disconnect transport close", "waited 0", "echo"]
    await served.deserted()


async def test_a_namespace_can_be_left_and_joined_again(served, raw):
    client = await raw(served.url)
    first = await client.connect()
    # An event that was under way when the client was disconnected is ignored.
    await client.send("1", '2["echo"]', "31[]", "1")
    second = await client.connect()
    assert first != second
    assert await client.call("/", "echo", 1) == [1]
    assert seen(served) == ["on_connect", "on_disconnect client disconnect", "on_connect", "echo"]


async def test_joining_again_does_not_refill_the_rate_limit_of_an_event(serve, raw):
    served = await serve(Open(), event_rate="1/m")
    client = await raw(served.url)
    await client.connect()
    assert [await client.call("/", "echo", n) for n in range(2)] == [[0], [1]]
    await client.send("1")
    await client.connect()
    [answer] = await client.call("/", "echo", 2)
    assert answer["error"]["code"] == "rate_limited"


@pytest.mark.parametrize("namespace", ["/nowhere-{}", "/nowhere", "/"])
async def test_a_flood_of_connects_closes_the_connection(serve, raw, namespace):
    """Each CONNECT costs the check of a token and a log line, and needs no valid token."""
    served = await serve(Open(), max_namespaces=5)
    client, bystander = await raw(served.url), await raw(served.url)
    await bystander.connect()
    answers = 0
    for number in range(1000):
        await client.send(connect_packet(namespace.format(number)))
        if await client.receive() is None:
            break
        answers += 1
        await client.send(*["1"] * (namespace == "/"))
    assert answers < 500
    assert await bystander.call("/", "echo", 1) == [1]


async def test_a_flood_of_connects_leaves_others_of_its_address_the_few_that_they_need(serve, raw):
    served = await serve(Open(), max_namespaces=40)
    for _ in range(5):
        flood = await raw(served.url)
        for number in range(100):
            await flood.send(connect_packet(f"/nowhere-{number}"))
        while await flood.receive() is not None:
            pass
    for _ in range(3):
        bystander = await raw(served.url)
        await bystander.connect()
        assert await bystander.call("/", "echo", 1) == [1]


async def test_the_list_of_left_namespaces_is_bounded(serve, raw):
    class Tenants(Namespace, path=re.compile("/tenant-[0-9]+")):
        auth = "none"

    served = await serve(Tenants(), max_namespaces=100)
    client = await raw(served.url)
    (connection,) = served.server.connections.values()
    for number in range(100):
        await client.connect(f"/tenant-{number}")
        await client.send(f"1/tenant-{number},")
    await client.connect("/tenant-0")
    assert len(connection._left) <= 64
    assert set(served.server.metrics.connections) == {"/tenant-[0-9]+"}
    assert served.server.open_namespaces() == ["/tenant-0"]


async def test_a_connection_cannot_join_more_namespaces_than_the_limit(serve, raw):
    class Tenants(Namespace, path=re.compile("/tenant-[0-9]+")):
        auth = "none"

    served = await serve(Tenants(), max_namespaces=3)
    client = await raw(served.url)
    for number in range(3):
        await client.connect(f"/tenant-{number}")
    assert await client.refused("/tenant-3") == {"message": "Too many namespaces", "data": {"code": "rate_limited"}}
    await client.send("1/tenant-0,")
    await client.connect("/tenant-3")


async def test_nan_of_one_client_disconnects_only_that_client(served, raw, js):
    watching = await js(served.url, "/", transports=["websocket"])
    hostile = await raw(served.url)
    await hostile.connect()
    await hostile.send('2["echo",{"price":NaN}]')
    assert await hostile.closed() == []
    assert await watching.call("echo", {"price": 1}) == {"price": 1}


async def test_a_javascript_client_that_forges_an_event_loses_its_connection(served, js):
    client = await js(served.url, "/", transports=["websocket"], reconnection=False)
    await client.raw('2["disconnect"]')
    assert await client.disconnected() == "transport close"
    await served.deserted()


async def test_bytes_travel_both_ways(served, js):
    client = await js(served.url, "/", transports=["websocket"])
    assert await client.call_all("echo", b"\x00\x01", {"deep": [b"x"]}, 5) == [b"\x00\x01", {"deep": [b"x"]}, 5]


async def test_concurrent_handlers_are_limited_too(serve, raw):
    namespace = Open()
    served = await serve(namespace, async_handlers=True)
    client = await raw(served.url)
    await client.connect()
    await client.send(*(f'2["wait",{number}]' for number in range(300)))
    await eventually(lambda: len(namespace.seen) == 101)
    (connection,) = served.server.connections.values()
    assert connection.backlog.full
    namespace.gate.set()
    await eventually(lambda: len(namespace.seen) == 601)
