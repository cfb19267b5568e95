"""Emitters: other processes emit through Redis."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio

from rtserver.cluster.emitter.emitter import Emitter, SyncEmitter
from rtserver.errors import Unavailable
from tests.cluster.instances import Instance
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

Cluster = Callable[..., Awaitable[list[Instance]]]


async def test_an_emitter_has_the_operations_of_a_server(cluster: Cluster, redis_server: RedisServer) -> None:
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


async def test_an_emitter_raises_unavailable_without_redis() -> None:
    async with Emitter(f"redis://127.0.0.1:{free_port()}") as emitter:
        with pytest.raises(Unavailable):
            await emitter.emit("x")


async def test_an_emitter_rejects_reserved_event_names(redis_server: RedisServer) -> None:
    async with Emitter(redis_server.url) as emitter:
        with pytest.raises(ValueError, match="reserved"):
            await emitter.emit("disconnect")
        with pytest.raises(ValueError, match="reserved"):
            await emitter.server_side_emit("connection")


async def test_an_emitter_has_the_methods_of_the_servers_operator(cluster: Cluster, redis_server: RedisServer) -> None:
    one, two = await cluster()
    a, b = await one.client("red"), await two.client("blue")
    async with Emitter(redis_server.url) as emitter:
        chat = emitter.of("/chat")
        assert await chat.in_(["red", "blue"], "nobody").except_(["blue"]).emit("x", 1) == 2
        assert await chat.to("red").to("blue").volatile.emit("x", 2) == 2
        assert await emitter.of("/nowhere").emit("x", 3) == 0
        kept = chat.to("blue")
        assert await kept.sockets_join(["gold", "silver"]) == 2
        await eventually(lambda: two.adapter.has_room("/chat", "silver"))
        assert await kept.compress(False).emit("x", 4) == 2
        await chat.except_(a.id).emit("end")
        await eventually(lambda: ("end",) in b.heard)
        assert a.heard == [("x", 1), ("x", 2)]
        assert b.heard == [("x", 2), ("x", 4), ("end",)]


async def test_a_message_that_every_server_would_reject_raises_at_the_emitter(redis_server: RedisServer) -> None:
    async with Emitter(redis_server.url) as emitter:
        with pytest.raises(ValueError, match="more than any server takes"):
            await emitter.emit("x", b"\0" * 17_000_000)
        with pytest.raises(TypeError):
            await emitter.emit("x", object())
    with pytest.raises(ValueError, match="scheme"):
        SyncEmitter("http://127.0.0.1")


async def test_code_without_asyncio_emits_from_any_thread(cluster: Cluster, redis_server: RedisServer) -> None:
    (one,) = await cluster(1)
    browser = await one.client("red")

    def work() -> None:
        with SyncEmitter(redis_server.url) as emitter:
            assert emitter.of("/chat").to("red").emit("x", {"blob": b"\xff"}) == 1
            threads = [threading.Thread(target=emitter.of("chat").emit, args=("n", n)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            emitter.of("chat").emit("end")
        assert emitter.of("chat").emit("again") == 1  # a new connection
        emitter.close()

    await asyncio.to_thread(work)
    await eventually(lambda: ("again",) in browser.heard)
    assert browser.heard[0] == ("x", {"blob": b"\xff"})
    assert sorted(browser.heard[1:9]) == [("n", n) for n in range(8)]
    assert not [thread for thread in threading.enumerate() if thread.name == "rtserver-emitter"]


FORKING = """
import os, sys
from rtserver import SyncEmitter
emitter = SyncEmitter(sys.argv[1])
emitter.of("/chat").emit("x", "parent")
child = os.fork()
if child == 0:
    emitter.of("/chat").emit("x", "child")
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


async def test_a_forked_worker_emits(cluster: Cluster, redis_server: RedisServer) -> None:
    """As with gunicorn --preload, or the pool of Celery."""
    (one,) = await cluster(1)
    browser = await one.client()
    run = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKING, redis_server.url)
    assert await asyncio.wait_for(run.wait(), 30) == 0
    await eventually(lambda: browser.heard == [("x", "parent"), ("x", "child")])


def test_the_emitter_without_asyncio_raises_unavailable_without_redis() -> None:
    with SyncEmitter(f"redis://127.0.0.1:{free_port()}") as emitter, pytest.raises(Unavailable):
        emitter.emit("x")
