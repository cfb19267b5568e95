"""rtserver and Node's Socket.IO servers with `@socket.io/redis-adapter` are one cluster, both ways."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.interop.members import Cluster
from tests.support.eventually import eventually
from tests.support.js_client import JsClient
from tests.support.node_server import NodeError

both_ways = pytest.mark.parametrize("asker", ["node", "rtserver"])
both_channels = pytest.mark.parametrize("members", ["shared", "specific"], indirect=True, scope="module")


async def heard_until(client: JsClient, event: str) -> list[Any]:
    """Return the arguments of every `event` until the end event."""
    await client.next("end")
    return [args[0] if len(args) == 1 else args for args in client.received(event)]


@both_ways
async def test_a_broadcast_reaches_the_members_of_rooms_but_not_the_excepted(cluster: Cluster, asker: str) -> None:
    red, blue, mute = (f"{cluster.room}-{name}" for name in ("red", "blue", "mute"))
    everywhere = await cluster.clients(red)
    both = await cluster.clients(red, blue)
    muted = await cluster.clients(blue, mute)
    ask = cluster.member(asker).do
    await ask(("to", red), ("emit", "x", "red"))
    await ask(("to", [red, blue]), ("emit", "x", "red or blue, once"))
    await ask(("in", blue), ("except", [mute, everywhere[0].id]), ("emit", "x", "blue, not mute"))
    await ask(("except", [client.id for client in both]), ("emit", "x", "all but"))
    await ask(("to", both[1].id), ("emit", "x", "you"))
    await ask(("emit", "end"))
    for client in everywhere:
        assert await heard_until(client, "x") == ["red", "red or blue, once", "all but"]
    for number, client in enumerate(both):
        own = ["you"] if number == 1 else []
        assert await heard_until(client, "x") == ["red", "red or blue, once", "blue, not mute", *own]
    for client in muted:
        assert await heard_until(client, "x") == ["red or blue, once", "all but"]


@both_ways
async def test_flags_work_across_servers(cluster: Cluster, asker: str) -> None:
    """On Node with sharded channels, a local broadcast overtakes those that wait for Redis; so one after the other."""
    clients = await cluster.clients(cluster.room)
    ask = cluster.member(asker).do
    await ask(("volatile",), ("to", cluster.room), ("emit", "x", "volatile"))
    for client in clients:
        await client.next("x")
    await ask(("local",), ("to", cluster.room), ("emit", "x", "local"))
    await ask(("compress", False), ("to", cluster.room), ("emit", "x", "small"))
    await ask(("to", cluster.room), ("emit", "end"))
    heard = [await heard_until(client, "x") for client in clients]
    near = ["volatile", "local", "small"]
    far = ["volatile", "small"]
    assert heard == ([near, far, far] if asker == "node" else [far, near, far])


@both_ways
async def test_every_kind_of_value_arrives_as_it_was_sent(cluster: Cluster, asker: str) -> None:
    clients = await cluster.clients(cluster.room)
    values = [
        {"n": 1, "f": 1.5, "big": 2**53 - 1, "neg": -7, "text": "é€😀", "none": None, "deep": [[[{"a": []}]]]},
        b"\x00\xff", {"blobs": [b"", b"\x01" * 70_000]}, None, True, "", [],
    ]  # fmt: skip
    await cluster.member(asker).do(("to", cluster.room), ("emit", "x", *values))
    for client in clients:
        assert await client.next("x") == values


async def test_a_date_of_node_arrives_as_text_as_it_does_on_node(cluster: Cluster) -> None:
    clients = await cluster.clients(cluster.room)
    when = {"$date": 1_795_346_054_353}
    await cluster.node.do(("to", cluster.room), ("emit", "x", when))
    text = datetime.fromtimestamp(1_795_346_054.353, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for client in clients:
        assert await client.next("x") == [text]


@both_ways
async def test_rooms_with_numbers_as_names_are_reached(cluster: Cluster, asker: str) -> None:
    """To Node, 7 and "7" are two rooms; here they are one."""
    number = 1_000_000 + int(cluster.room.removeprefix("room"))
    counted, named = await cluster.client(cluster.node, number), await cluster.client(cluster.rts[1], str(number))
    left_out = await cluster.client(cluster.node, number, cluster.room)
    ask = cluster.member(asker).do
    room = number if asker == "node" else str(number)
    await ask(("to", room), ("emit", "x", "one"))
    await ask(("to", [room, cluster.room]), ("except", [room]), ("emit", "x", "nobody"))
    await ask(("in", cluster.room), ("socketsLeave", room))
    await eventually_without(cluster, left_out, room)
    await ask(("to", room), ("emit", "x", "two"))
    await ask(("emit", "end"))
    assert await heard_until(counted, "x") == await heard_until(named, "x") == ["one", "two"]
    assert await heard_until(left_out, "x") == ["one"]


async def eventually_without(cluster: Cluster, client: JsClient, room: Any) -> None:
    async def gone() -> bool:
        sockets = await cluster.node.do(("in", client.id), ("fetchSockets",))
        return room not in sockets[0]["rooms"] and str(room) not in map(str, sockets[0]["rooms"])

    await eventually(gone)


@both_ways
async def test_a_thousand_events_arrive_in_order(cluster: Cluster, asker: str) -> None:
    clients = await cluster.clients(cluster.room)
    for start in range(0, 1000, 250):
        steps = [
            cluster.member(asker).do(("to", cluster.room if n % 2 else [cluster.room, "nobody"]), ("emit", "x", n))
            for n in range(start, start + 250)
        ]
        if asker == "rtserver":
            await asyncio.gather(*steps)  # on one connection, so in order
        else:
            for step in steps:
                await step
    await cluster.member(asker).do(("to", cluster.room), ("emit", "end"))
    for client in clients:
        assert await heard_until(client, "x") == list(range(1000))


@both_ways
@both_channels
async def test_fetch_sockets_returns_all_sockets_without_secrets(cluster: Cluster, asker: str) -> None:
    clients = await cluster.clients(cluster.room)
    secrets = {"auth": {"token": "s3cret-auth"}, "query": {"token": "s3cret-query"}}
    headers = {"cookie": "id=s3cret-cookie", "authorization": "Bearer s3cret-bearer", "x-token": "s3cret-header"}
    headers["referer"] = "https://app.example/?token=s3cret-referer"
    shy = await cluster._open(cluster.rts[1].url, "/wire", transports=["websocket"], extraHeaders=headers, **secrets)
    await shy.call("join", [cluster.room])
    await clients[2].call("data", {"color": "red", "n": [1, None]})
    sockets = await cluster.member(asker).do(("in", cluster.room), ("fetchSockets",))
    found = {socket["id"]: socket for socket in sockets}
    assert found.keys() == {client.id for client in (*clients, shy)}
    assert sorted(found[clients[2].id]["rooms"]) == sorted([clients[2].id, cluster.room])
    assert found[clients[2].id]["data"] == {"color": "red", "n": [1, None]}
    handshake = found[shy.id]["handshake"]
    assert "s3cret" not in str(handshake)
    assert handshake.keys() == {
        "headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth",
    }  # fmt: skip
    assert handshake["address"] == "127.0.0.1"
    assert (await cluster.member(asker).do(("in", cluster.room), ("except", cluster.room), ("fetchSockets",))) == []


@both_ways
@both_channels
async def test_a_fetched_socket_can_be_used_wherever_it_is(cluster: Cluster, asker: str) -> None:
    clients = await cluster.clients(cluster.room)
    for client in clients:
        await client.answer("ask", f"I am {client.name}")
    ask = cluster.member(asker).do
    for client in clients:
        socket: list[tuple[Any, ...]] = [("in", cluster.room), ("fetchSockets",), ("socket", client.id)]
        await ask(*socket, ("emit", "x", 1))
        assert await client.next("x") == [1]
        if asker == "node":
            assert await ask(*socket, ("timeout", 5000), ("emitWithAck", "ask")) == f"I am {client.name}"
        else:
            assert await ask(*socket, ("emitWithAck", "ask")) == f"I am {client.name}"
        await ask(*socket, ("join", f"{cluster.room}-own"))
    own = f"{cluster.room}-own"
    await eventually(lambda: sockets_in(cluster, own, 3))
    await ask(("in", cluster.room), ("fetchSockets",), ("socket", clients[0].id), ("leave", own))
    await eventually(lambda: sockets_in(cluster, own, 2))
    for client in clients:
        await ask(("in", cluster.room), ("fetchSockets",), ("socket", client.id), ("disconnect",))
        assert await client.disconnected() == "io server disconnect"


async def sockets_in(cluster: Cluster, room: str, count: int) -> bool:
    return len(await cluster.rts[0].do(("in", room), ("fetchSockets",))) == count


@both_ways
@both_channels
async def test_all_rooms_are_those_of_every_server(cluster: Cluster, asker: str) -> None:
    clients = [
        await cluster.client(member, f"{cluster.room}-{number}")
        for number, member in enumerate((cluster.node, *cluster.rts))
    ]
    if asker == "node":
        rooms = await cluster.node.do(("adapter",), ("allRooms",))
    else:
        rooms = await cluster.rts[0].do(("allRooms",))
    assert {client.id for client in clients} <= set(rooms)
    assert {f"{cluster.room}-{number}" for number in range(3)} <= set(rooms)


@both_ways
async def test_sockets_are_moved_between_rooms_and_disconnected(cluster: Cluster, asker: str) -> None:
    clients, others = await cluster.clients(cluster.room), await cluster.clients()
    ask = cluster.member(asker).do
    gold, silver = f"{cluster.room}-gold", f"{cluster.room}-silver"
    await ask(("in", cluster.room), ("except", clients[2].id), ("socketsJoin", [gold, silver]))
    await eventually(lambda: sockets_in(cluster, gold, 2))
    await ask(("in", gold), ("socketsLeave", silver))
    await eventually(lambda: sockets_in(cluster, silver, 0))
    assert await sockets_in(cluster, gold, 2)
    await ask(("in", cluster.room), ("disconnectSockets",))
    for client in clients:
        assert await client.disconnected() == "io server disconnect"
    assert all(client.is_connected for client in others)
    await ask(("in", [client.id for client in others]), ("disconnectSockets", True))
    for client in others:
        assert await client.disconnected() == "io server disconnect"
        assert (await client.engine_event("close"))[0] in ("transport close", "forced close")


@both_ways
@both_channels
async def test_server_side_emit_reaches_the_other_servers(cluster: Cluster, asker: str) -> None:
    await cluster.member(asker).do(("serverSideEmit", "note", 1, {"a": ["é", None]}))
    for member in cluster.others(asker):
        await eventually_heard(member, [1, {"a": ["é", None]}])
    assert await cluster.member(asker).do(("heard",)) == []
    assert await cluster.member(asker).do(("serverSideEmitWithAck", "add", 2, 3)) == [5, 5]


async def eventually_heard(member: Any, wanted: Any) -> None:
    got: list[Any] = []

    async def told() -> bool:
        got.extend(await member.do(("heard",)))
        return bool(got)

    await eventually(told)
    assert got == [wanted]


async def test_bytes_of_a_server_side_emit_reach_node(cluster: Cluster) -> None:
    await cluster.rts[0].do(("serverSideEmit", "note", {"blob": b"\x00\xff"}))
    for member in cluster.others("rtserver"):
        await eventually_heard(member, [{"blob": b"\x00\xff"}])


@both_ways
@both_channels
async def test_missing_responses_to_a_server_side_emit_raise_an_error_with_those_that_came(
    cluster: Cluster, asker: str
) -> None:
    """rtserver has no handler for "slow", and Node's never answers."""
    step = ("serverSideEmitWithAck", "slow")
    with pytest.raises(NodeError) as caught:
        await cluster.member(asker).do(step)
    assert caught.value.responses == []
    assert "0 " in str(caught.value)
    assert "2" in str(caught.value)


@both_ways
@both_channels
async def test_a_broadcast_collects_the_acks_of_every_server(cluster: Cluster, asker: str) -> None:
    clients = [*await cluster.clients(cluster.room), *await cluster.clients(cluster.room, f"{cluster.room}-x")]
    answers = [{"n": 1}, "é", None, b"\x00\xff", [1, 2], 5]
    for client, answer in zip(clients, answers, strict=True):
        await client.answer("ask", answer, "only the first argument counts")
    ask = cluster.member(asker).do
    got = await ask(("timeout", 10_000), ("to", cluster.room), ("emitWithAck", "ask", {"why": b"\x01"}))
    assert sorted(map(repr, got)) == sorted(map(repr, answers))
    assert await ask(("timeout", 10_000), ("to", f"{cluster.room}-nobody"), ("emitWithAck", "ask")) == []
    part = await ask(("timeout", 10_000), ("to", cluster.room), ("except", f"{cluster.room}-x"), ("emitWithAck", "ask"))
    assert sorted(map(repr, part)) == sorted(map(repr, answers[:3]))


@both_ways
@both_channels
async def test_missing_acks_raise_an_error_with_those_that_came(cluster: Cluster, asker: str) -> None:
    clients = await cluster.clients(cluster.room)
    await clients[0].answer("ask", "node")
    await clients[1].answer("ask", "rtserver")
    with pytest.raises(NodeError) as caught:
        await cluster.member(asker).do(("timeout", 700), ("to", cluster.room), ("emitWithAck", "ask"))
    assert sorted(caught.value.responses) == ["node", "rtserver"]
    if asker == "rtserver":
        assert "2 of 3" in str(caught.value)
