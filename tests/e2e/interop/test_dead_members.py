"""Unresponsive members: a server that hangs is still counted by Redis. A request waits for it once, and is partial."""

import asyncio
import time
from typing import Any

import pytest

from tests.e2e.interop.members import Cluster
from tests.support.eventually import eventually
from tests.support.node_server import NodeError

pytestmark = pytest.mark.parametrize("members", ["patient"], indirect=True, scope="module")

# `CLUSTER_TIMEOUT` is three seconds here; a tenth of it is what a silent server still gets.
WHOLE = 2.9


async def timed(asking: Any) -> tuple[float, Any]:
    began = time.monotonic()
    told = await asking
    return time.monotonic() - began, told


@pytest.mark.parametrize("hanging", ["node", "rtserver"])
async def test_a_server_that_hangs_is_waited_for_once(cluster: Cluster, hanging: str) -> None:
    clients = await cluster.clients(cluster.room)
    for client in clients:
        await client.answer("ask", client.name)
    asker, dead = cluster.rts[0], cluster.node if hanging == "node" else cluster.rts[1].server
    gone = clients[0] if hanging == "node" else clients[2]
    left = {client.id for client in clients} - {gone.id}
    fetch = (("in", cluster.room), ("fetchSockets",))
    dead.pause()
    try:
        seconds, told = await timed(asker.ask(*fetch))
        assert seconds > WHOLE
        for _ in range(3):
            assert {socket["id"] for socket in told["value"]} == left
            assert told["partial"] is True
            seconds, told = await timed(asker.ask(*fetch))
            assert seconds < WHOLE
        seconds, told = await timed(asker.ask(("allRooms",)))
        assert seconds < WHOLE
        assert told["partial"] is True
        with pytest.raises(NodeError) as caught:
            await asker.do(("timeout", 600_000), ("in", cluster.room), ("emitWithAck", "ask"))
        assert len(caught.value.responses) == 2
        with pytest.raises(NodeError) as caught:
            await asker.do(("serverSideEmitWithAck", "add", 1, 2))
        assert caught.value.responses == [3]
    finally:
        dead.resume()

    async def whole() -> bool:
        told = await asker.ask(*fetch)
        return told["partial"] is False and len(told["value"]) == 3

    await eventually(whole)
    answers = await asker.do(("timeout", 10_000), ("in", cluster.room), ("emitWithAck", "ask"))
    assert len(answers) == 3


async def test_a_handler_that_never_returns_does_not_make_its_server_unresponsive(cluster: Cluster) -> None:
    asker = cluster.rts[0]
    with pytest.raises(NodeError):
        await asker.do(("serverSideEmitWithAck", "slow"))
    await asyncio.sleep(0)
    assert (await asker.ask(("fetchSockets",)))["partial"] is False
    assert await asker.do(("serverSideEmitWithAck", "add", 1, 2)) == [3, 3]
