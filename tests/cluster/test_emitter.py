"""Other processes emit through Redis."""

from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio

from rtserver.cluster.emitter import Emitter
from rtserver.errors import Unavailable
from tests.cluster.conftest import eventually
from tests.cluster.instances import Instance
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

Cluster = Callable[..., Awaitable[list[Instance]]]


async def test_an_emitter_does_what_a_server_could(cluster: Cluster, redis_server: RedisServer) -> None:
    one, two = await cluster()
    a, b = await one.client("red"), await two.client("red", "blue")
    async with Emitter(redis_server.url) as emitter:
        chat = emitter.of("chat")
        await chat.to("red").except_("blue").emit("x", {"n": 1, "blob": b"\xff"})
        await chat.to("red", "blue").volatile.compress(False).emit("x", 2)
        await emitter.emit("x", "other namespace")
        await chat.emit("end")
        await eventually(lambda: ("end",) in a.heard and ("end",) in b.heard)
        assert a.heard == [("x", {"n": 1, "blob": b"\xff"}), ("x", 2), ("end",)]
        assert b.heard == [("x", 2), ("end",)]
        await chat.to("blue").sockets_join("gold")
        await eventually(lambda: two.adapter.has_room("/chat", "gold"))
        assert not one.adapter.has_room("/chat", "gold")
        await chat.sockets_leave("gold")
        await eventually(lambda: not two.adapter.has_room("/chat", "gold"))
        await chat.server_side_emit("note", "hello")
        await eventually(lambda: one.chat.heard == two.chat.heard == ["hello"])
        await chat.to("red").disconnect_sockets()
        await eventually(lambda: not a.connected and not b.connected)


async def test_an_emitter_survives_the_loss_of_its_connection(
    cluster: Cluster, redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    browser = await one.client()
    async with Emitter(redis_server.url) as emitter:
        await emitter.of("/chat").emit("x", 1)
        name = "rtserver-emitter"
        client = next(c for c in await redis_client.client_list() if c["name"] == name)
        await redis_client.execute_command("CLIENT", "KILL", "ID", client["id"])
        await redis_client.ping()
        await emitter.of("/chat").emit("x", 2)
        await eventually(lambda: browser.heard == [("x", 1), ("x", 2)])


async def test_an_emitter_says_when_redis_is_not_there() -> None:
    async with Emitter(f"redis://127.0.0.1:{free_port()}") as emitter:
        with pytest.raises(Unavailable):
            await emitter.emit("x")


async def test_an_emitter_refuses_what_clients_take_for_the_lifecycle(redis_server: RedisServer) -> None:
    async with Emitter(redis_server.url) as emitter:
        with pytest.raises(ValueError, match="reserved"):
            await emitter.emit("disconnect")
