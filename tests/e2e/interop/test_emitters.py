"""Emitters in a mixed cluster: Node's emitter, ours, and the manager of python-socketio."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio

from rtserver import Emitter
from tests.e2e.interop.members import Cluster
from tests.e2e.interop.test_classic import eventually_heard, heard_until, sockets_in
from tests.e2e.interop.wired import walk
from tests.support.eventually import eventually

both_emitters = pytest.mark.parametrize("kind", ["@socket.io/redis-emitter", "rtserver.Emitter"])


async def tell(cluster: Cluster, kind: str, *steps: tuple[Any, ...], namespace: str = "/wire") -> None:
    """By the names of Node's emitter."""
    if kind == "@socket.io/redis-emitter":
        await cluster.node.do(*steps, namespace=namespace, emitter=True)
        return
    async with Emitter(cluster.redis.url) as emitter:
        await walk(emitter.of(namespace), [list(step) for step in steps])


@both_emitters
async def test_an_emitter_addresses_rooms_and_excludes_others(cluster: Cluster, kind: str) -> None:
    red, blue, mute = (f"{cluster.room}-{name}" for name in ("red", "blue", "mute"))
    reds, both, muted = [
        await cluster.clients(red), await cluster.clients(red, blue), await cluster.clients(blue, mute),
    ]  # fmt: skip
    value = {"n": 1.5, "blob": b"\x00\xff", "text": "é😀", "none": None}
    await tell(cluster, kind, ("to", red), ("emit", "x", "red"))
    await tell(cluster, kind, ("in", red), ("to", [blue]), ("except", mute), ("emit", "x", value))
    await tell(cluster, kind, ("in", blue), ("except", [mute, both[0].id]), ("emit", "x", "blue"), namespace="wire")
    await tell(cluster, kind, ("except", [red]), ("emit", "x", "not red"))
    # Node drops what is volatile while it still writes to a client.
    for clients, before in (both[:1], 2), (both[1:], 3), (muted, 1):
        for client in clients:
            for _ in range(before):
                await client.next("x")
    await tell(cluster, kind, ("volatile",), ("to", blue), ("emit", "x", "volatile"))
    await tell(cluster, kind, ("compress", False), ("to", blue), ("emit", "x", 1, [2]))
    await tell(cluster, kind, ("emit", "x", "another namespace"), namespace="/")
    await tell(cluster, kind, ("emit", "end"))
    for client in reds:
        assert await heard_until(client, "x") == ["red", value]
    for number, client in enumerate(both):
        own = ["blue"] if number else []
        assert await heard_until(client, "x") == ["red", value, *own, "volatile", [1, [2]]]
    for client in muted:
        assert await heard_until(client, "x") == ["not red", "volatile", [1, [2]]]


@both_emitters
async def test_an_emitter_moves_and_disconnects_sockets(cluster: Cluster, kind: str) -> None:
    clients, others = await cluster.clients(cluster.room), await cluster.clients()
    gold, silver = f"{cluster.room}-gold", f"{cluster.room}-silver"
    await tell(cluster, kind, ("in", cluster.room), ("except", clients[2].id), ("socketsJoin", [gold, silver]))
    await eventually(lambda: sockets_in(cluster, silver, 2))
    await tell(cluster, kind, ("in", gold), ("socketsLeave", silver))
    await eventually(lambda: sockets_in(cluster, silver, 0))
    assert await sockets_in(cluster, gold, 2)
    await tell(cluster, kind, ("in", cluster.room), ("disconnectSockets",))
    for client in clients:
        assert await client.disconnected() == "io server disconnect"
    assert all(client.is_connected for client in others)
    await tell(cluster, kind, ("in", [client.id for client in others]), ("disconnectSockets", True))
    for client in others:
        assert await client.disconnected() == "io server disconnect"
        await client.engine_event("close")


@both_emitters
async def test_an_emitter_calls_the_handlers_of_every_server(cluster: Cluster, kind: str) -> None:
    await tell(cluster, kind, ("serverSideEmit", "note", {"a": [1, "é", None]}))
    for member in (cluster.node, *cluster.rts):
        await eventually_heard(member, [{"a": [1, "é", None]}])


@pytest.fixture
async def manager(cluster: Cluster) -> AsyncIterator[socketio.AsyncRedisManager]:
    made = socketio.AsyncRedisManager(cluster.redis.url, write_only=True)
    yield made
    if made.redis is not None:
        await made.redis.aclose()


async def test_python_socketios_manager_reaches_the_clients_of_rtserver(
    cluster: Cluster, manager: socketio.AsyncRedisManager
) -> None:
    a, b = [await cluster.client(rt, cluster.room) for rt in cluster.rts]
    to: Any = {"namespace": "/wire", "room": cluster.room}
    blobs = {"blob": b"\x00\xff", "more": [b"", {"deep": b"1"}]}
    await manager.emit("x", {"n": [1, None, "é"]}, **to)
    await manager.emit("x", ("several", b"\x01", 3), **to)
    await manager.emit("x", blobs, **to, skip_sid=a.id)
    await manager.emit("x", [1, 2], namespace="/wire", room=[a.id, b.id])
    await manager.emit("x", "nobody", **to, skip_sid=[a.id, b.id])
    await manager.emit("x", None, **to)
    await manager.emit("end", None, **to)
    common = [{"n": [1, None, "é"]}, ["several", b"\x01", 3]]
    assert await heard_until(a, "x") == [*common, [1, 2], []]
    assert await heard_until(b, "x") == [*common, blobs, [1, 2], []]

    await manager.enter_room(b.id, "/wire", f"{cluster.room}-gold")
    await eventually(lambda: sockets_in(cluster, f"{cluster.room}-gold", 1))
    await manager.leave_room(b.id, "/wire", f"{cluster.room}-gold")
    await eventually(lambda: sockets_in(cluster, f"{cluster.room}-gold", 0))
    await manager.close_room(cluster.room, "/wire")
    await eventually(lambda: sockets_in(cluster, cluster.room, 0))
    # Its own `disconnect` fails without a server of its own; this is what its servers call.
    await manager.can_disconnect(a.id, "/wire")
    assert await a.disconnected() == "io server disconnect"
    assert b.is_connected
