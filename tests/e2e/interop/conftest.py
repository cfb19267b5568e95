"""One cluster of a Node server and two rtserver processes on a real Redis, shared by the tests of a module."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.interop.members import Cluster, Rt
from tests.support.js_client import JsClient
from tests.support.node_server import NodeServer
from tests.support.process import Processes
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServers

KINDS = {
    "shared": ({}, {}),
    "patient": ({}, {"CLUSTER_TIMEOUT": 3}),
    "specific": ({"publishOnSpecificResponseChannel": True}, {"REDIS_SPECIFIC_RESPONSES": True}),
    "sharded": ({"adapter": "sharded"}, {"REDIS_ADAPTER": "sharded"}),
}


@pytest.fixture(scope="module", params=["shared"])
def members(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _migrated: Path
) -> Iterator[tuple[RedisServer, NodeServer, list[Rt]]]:
    """The servers, of one of `KINDS`."""
    node_options, settings = KINDS[request.param]
    processes = Processes(tmp_path_factory.mktemp("interop"))
    redis_server = RedisServer(processes)
    redis_server.start()
    node = NodeServer(processes, redis_server.url, requestsTimeout=1000, **node_options)
    settings = {"REDIS_URL": redis_server.url, "CLUSTER_TIMEOUT": 1, "RATE_EVENTS": "10000/s", **settings}
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setenv("PYTHONPATH", str(ROOT))
        plugins = "tests.e2e.interop.wired:Wire,tests.e2e.interop.wired:Control"

        async def two() -> list[Any]:
            start = RtServers(processes, _migrated).start
            return [await start(NAMESPACES=plugins, **settings) for _ in range(2)]

        node.start()
        starting = thread.submit(asyncio.run, two())
        rts = [Rt(server) for server in starting.result()]
    yield redis_server, node, rts
    processes.stop_all()


@pytest.fixture
async def cluster(
    request: pytest.FixtureRequest,
    members: tuple[RedisServer, NodeServer, list[Rt]],
    js: Callable[..., Awaitable[JsClient]],
) -> AsyncIterator[Cluster]:
    redis_server, node, rts = members
    made = Cluster(redis_server, node, rts, js)
    made.sharded = (
        request.node.callspec.params.get("members") == "sharded" if hasattr(request.node, "callspec") else False
    )
    await made.join()
    yield made
    await made.leave()
