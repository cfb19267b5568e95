"""The official clients of version 2 (behind `allow_eio3`) and 3, and what their packets look like on the wire."""

from __future__ import annotations

import asyncio
import logging
import re
from urllib.parse import quote

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from rtserver.errors import Refused
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import Tokens, eventually

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WAYS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}


class Root(Namespace, path="/"):
    auth = "none"

    @event("echo")
    async def echo(self, client: Client, *args: object) -> tuple[object, ...]:
        return args

    @event("send")
    async def send(self, client: Client, *args: object) -> None:
        await client.emit("sent", *args)

    @event("ask")
    async def ask(self, client: Client, *args: object) -> object:
        return await client.emit_with_ack("question", *args)


class Guarded(Root, path="/guarded"):
    auth = "required"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.left: list[str] = []

    async def on_disconnect(self, client: Client, reason: str) -> None:
        await self.gate.wait()
        self.left.append(client.id)

    @event("whoami")
    async def whoami(self, client: Client) -> list[object]:
        return [client.id, client.user, dict(client.handshake.auth or {})]


class Strict(Namespace, path="/strict"):
    auth = "none"

    async def on_connect(self, client: Client) -> None:
        raise Refused("No way") if client.handshake.auth else Refused("No way", code="closed", until=5)


@pytest.fixture
async def served(serve):
    return await serve(Root(), Guarded(), Strict(), allow_eio3=True, authenticator=Tokens())


@pytest.fixture(params=[(version, way) for version in (2, 3) for way in WAYS], ids=lambda x: "v{}-{}".format(*x))
def connect(request, js, served):
    """`await connect("/namespace", …)` opens a client of that version on that transport."""
    version, way = request.param

    async def connect(namespace="/", **options):
        client = await js(served.url, namespace, version=version, transports=WAYS[way], reconnection=False, **options)
        if way == "upgrade":
            await client.upgraded()
        return client

    connect.version = version
    return connect


def credentials(version):
    return {"query": {"token": "alice"}} if version == 2 else {"auth": {"token": "alice"}}


async def test_events_acks_and_binary_go_both_ways(served, connect):
    client = await connect()
    assert await client.call_all("echo", "é😀", 1, {"a": [None]}, b"\x01\x02") == ["é😀", 1, {"a": [None]}, b"\x01\x02"]
    await client.emit("send", b"\x00" * 300, "x", {"deep": [b"\xff"]})
    assert await client.next("sent") == [b"\x00" * 300, "x", {"deep": [b"\xff"]}]
    await client.answer("question", {"answer": b"\x2a"})
    assert await client.call("ask", "life") == {"answer": b"\x2a"}
    await client.emit("send", "x" * 100_000)
    assert await client.next("sent") == ["x" * 100_000]


async def test_server_and_client_agree_on_the_id(served, connect):
    client = await connect()
    (known,) = served.server.namespaces_by_path["/"].clients
    if connect.version == 2:
        assert client.id == client.engine_id
        assert client.id.rpartition(".")[0] == known
    else:
        assert client.id == known


async def test_a_namespace_with_a_token(served, connect):
    client = await connect("/guarded", **credentials(connect.version))
    id, user, auth = await client.call("whoami")
    assert (user, auth["token"]) == ("alice", "alice")
    if connect.version == 2:
        assert client.id == f"/guarded#{client.engine_id}"
        assert client.id.rpartition(".")[0] == id
    else:
        assert client.id == id


async def test_who_knows_the_id_of_a_client_cannot_act_as_it(served, js):
    """Admins and other servers see the id."""
    client = await v2(js, served, transports=["polling"])
    (known,) = served.server.namespaces_by_path["/"].clients
    url = f"{served.url}/socket.io/?EIO=3&transport=polling&sid="
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
    async with aiohttp.ClientSession() as http:
        for guess in (known, f"{known}.", f"{known}.{'A' * 20}", f"{known}%00", f"/#{known}", known.partition("-")[2]):
            for answer in (
                await http.get(URL(url + quote(guess, safe="%"), encoded=True)),
                await http.post(URL(url + quote(guess, safe="%"), encoded=True), data='13:42["echo",1]'),
                await http.get(URL(url.replace("polling", "websocket") + guess, encoded=True), headers=upgrade),
            ):
                assert answer.status == 400, guess
    assert await client.call("echo", 1) == 1


async def test_a_session_id_is_not_logged(serve, js, raw, caplog):
    """Of the id the public part is logged, which opens nothing."""
    logger = logging.getLogger("of the application")
    caplog.set_level("INFO", logger.name)
    served = await serve(Root(), allow_eio3=True, logger=logger, engineio_logger=logger)
    with capture_logs() as logs:
        client = await v2(js, served, transports=["polling"])
        other = await raw(served.url)
        ids = [client.engine_id, other.engine_id]
        await client.raw("9")
        await other.send("9")
        await eventually(lambda: sum(line["event"] == "packet_rejected" for line in logs) == 2)
    logged = sorted((line["session"] for line in logs if line["event"] == "packet_rejected"), key=len)
    assert logged == [ids[1][: len(ids[1]) // 2], ids[0].rpartition(".")[0]]
    lines = str([record.getMessage() for record in caplog.records if record.name == logger.name])
    assert "session opened by" in lines
    assert not any(id in text for id in ids for text in (str(logs), lines))


async def test_a_refusal_of_version_3_has_message_and_data(served, js):
    client = await js(served.url, "/guarded", version=3, reconnection=False, wait=False)
    assert await client.connect_error() == {"message": "Auth failed", "data": {"code": "token_missing"}}


async def test_order_is_kept(served, connect):
    client = await connect()
    for number in range(200):
        await client.emit("send", number)
    assert [(await client.next("sent"))[0] for _ in range(200)] == list(range(200))


async def test_a_disconnect_leaves_nothing_behind(served, connect):
    client = await connect()
    await client.disconnect()
    await served.deserted()


async def test_a_base64_client_of_version_4_gets_binary_too(served, js):
    for transports in WAYS.values():
        client = await js(served.url, transports=transports, forceBase64=True)
        assert await client.call_all("echo", b"\x01\x02", {"a": b""}) == [b"\x01\x02", {"a": b""}]


# Version 2 alone.


async def v2(js, served, namespace="/", **options):
    options.setdefault("transports", ["websocket"])
    return await js(served.url, namespace, version=2, **{"reconnection": False, **options})


async def test_without_allow_eio3_version_2_is_refused_with_a_reason(serve, js):
    served = await serve(Root())
    client = await v2(js, served, wait=False)
    await client.connect_error()
    async with aiohttp.ClientSession() as http, http.get(f"{served.url}/socket.io/?EIO=3&transport=polling") as answer:
        assert (answer.status, await answer.json()) == (400, {"code": 5, "message": "Unsupported protocol version"})


async def test_a_refusal_carries_its_data_or_its_message(served, js):
    client = await v2(js, served, "/strict", wait=False)
    assert (await client.connect_error())["data"] == {"code": "closed", "until": 5}
    client = await v2(js, served, "/strict", query={"a": 1}, wait=False)
    assert (await client.connect_error())["data"] == "No way"
    client = await v2(js, served, "/guarded", query={"token": "bad"}, wait=False)
    assert (await client.connect_error())["data"] == {"code": "token_invalid"}
    client = await v2(js, served, "/nowhere", wait=False)
    assert (await client.connect_error())["data"] == "Invalid namespace"


async def test_namespaces_share_a_connection(served, js):
    root = await v2(js, served, forceNew=False)
    other = await v2(js, served, "/guarded", forceNew=False, query={"token": "bob"})
    assert other.id == f"/guarded#{root.id}"
    await other.disconnect()
    assert await root.call("echo", 1) == 1


async def test_joining_again_waits_for_the_disconnect_handler(served, js):
    guarded = served.server.namespaces_by_path["/guarded"]
    client = await v2(js, served, "/guarded", query={"token": "alice"})
    guarded.gate.clear()
    await client.disconnect()
    # Another connection would not have the same id.
    again = await v2(js, served, "/guarded", query={"token": "alice"})
    await again.raw("1/guarded,")
    await again.raw("0/guarded?token=alice,")
    await asyncio.sleep(0)
    assert guarded.left == []
    guarded.gate.set()
    await eventually(lambda: len(guarded.left) == 2 and guarded.clients)
    assert (await again.call("whoami"))[0] == again.id.rpartition(".")[0]
    assert list(guarded.clients) == [again.id.rpartition(".")[0]]


async def test_the_server_can_disconnect_it(served, js):
    client = await v2(js, served)
    await served.server.of("/").in_(client.id.rpartition(".")[0]).disconnect_sockets()
    assert await client.disconnected() == "io server disconnect"
    client = await v2(js, served)
    await served.server.of("/").disconnect_sockets(close=True)
    assert await client.disconnected() in ("io server disconnect", "transport close")
    await served.deserted()


async def test_its_pings_keep_the_connection_open_and_the_server_sends_none(serve, js):
    served = await serve(Root(), allow_eio3=True, ping_interval=0.1, ping_timeout=0.3)
    client = await v2(js, served)
    await client.io_event("ping")
    await client.io_event("ping")
    await client.io_event("ping")
    assert client.is_connected


# On the wire.


class Wire:
    """Engine.IO revision 3 over a WebSocket, packets as written."""

    def __init__(self, socket):
        self._socket = socket
        self.sid = ""

    async def send(self, *packets):
        for packet in packets:
            await self._socket.send_str(packet)

    async def receive(self):
        message = await self._socket.receive(5)
        return message.data if message.type is aiohttp.WSMsgType.TEXT else None


@pytest.fixture
async def wire():
    async with aiohttp.ClientSession() as http:

        async def open(served):
            wire = Wire(await http.ws_connect(f"{served.url}/socket.io/?EIO=3&transport=websocket"))
            found = re.search('"sid":"([^"]+)"', await wire.receive())
            assert found is not None
            wire.sid = found[1]
            return wire

        yield open


async def test_the_root_namespace_is_joined_without_connect_and_payload(served, wire):
    client = await wire(served)
    assert await client.receive() == "40"
    await client.send('4212["echo",1]')
    assert await client.receive() == "4312[1]"


async def test_without_a_root_namespace_no_client_joins_it(serve, wire):
    served = await serve(Guarded(), allow_eio3=True, authenticator=Tokens(), namespaces=[])
    client = await wire(served)
    await client.send("40/guarded?token=alice,")
    assert await client.receive() == "40/guarded,"


@pytest.mark.parametrize("comma", ["", ","])
async def test_a_query_becomes_auth(served, wire, comma):
    client = await wire(served)
    await client.receive()
    token = "alice:" + "x" * 3000
    await client.send(f"40/guarded?token={token}&b=a%2Cb+c&b=last&empty={comma}")
    assert await client.receive() == "40/guarded,"
    await client.send('42/guarded,1["whoami"]')
    answer = await client.receive()
    assert '"b":"last","empty":""' in answer
    assert f'"/guarded#{client.sid.rpartition(".")[0]}"' in answer


@pytest.mark.parametrize(
    "packet",
    [
        "40",
        "40/",
        "40/?x=1",
        "40/guarded?" + "a&" * 101,
        "40/guarded?token=alice&x=" + "x" * 70_000,
        "40/" + "x" * 300,
        "42/guarded,[1]",
        "40/a,b",
        "40/a,{}",
        "4",
        "41/x,x",
    ],
)
async def test_invalid_packets_close_the_connection(served, wire, packet):
    client = await wire(served)
    assert await client.receive() == "40"
    await client.send(packet, '42["echo"]')
    while (answer := await client.receive()) is not None:
        assert answer.startswith("44"), answer
    await served.deserted()


async def test_a_refusal_of_the_root_namespace_is_sent(serve, wire):
    class Private(Root, path="/"):
        auth = "required"

    served = await serve(Private(), allow_eio3=True, authenticator=Tokens())
    client = await wire(served)
    assert await client.receive() == '44{"code":"token_missing"}'


async def test_a_connection_that_closes_at_once_joins_nothing(served, wire):
    for _ in range(20):
        client = await wire(served)
        client._socket._response.close()
    await served.deserted()


async def test_msgpack_and_allow_eio3_cannot_be_combined(serve):
    with pytest.raises(ValueError, match="allow_eio3"):
        await serve(Root(), allow_eio3=True, serializer="msgpack")
