"""`rtserver serve --workers N`: real processes on one port, without a proxy."""

import asyncio
import fcntl
import json
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtserver.tasks import cancelled
from rtserver.workers.supervisor import backoff
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer
from tests.workers.conftest import Start, logged, worker_of, workers_of

CLIENTS = 12
OPENED = ("engine", "open")


async def test_polling_clients_reach_each_other_across_three_workers(several: Start, js: Any) -> None:
    server = await several()
    clients = [await js(server.url, "/echo", transports=["polling"]) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        assert await client.call("echo", number) == number
        await client.emit("tell", number)
    for client in clients:
        told = [(await client.next("told"))[0] for _ in clients]
        assert sorted(told) == list(range(CLIENTS))
    assert not any(client.received("disconnect") for client in clients)
    workers = workers_of(clients)
    assert len(workers) > 1, f"the test needs clients of several workers: {workers}"

    # One more client that upgrades, a POST larger than one read, and the metrics of all workers.
    upgraded = await js(server.url, "/echo")
    await upgraded.upgraded()
    big = "x" * 400_000
    assert await upgraded.call("echo", big) == big
    assert await clients[0].call("echo", big) == big
    async with aiohttp.ClientSession() as http:
        metrics = await (await http.get(server.url + "/metrics")).text()
    assert "rtserver_workers_up 3.0" in metrics
    for worker, count in workers_of([*clients, upgraded]).items():
        assert f'rtserver_connections{{worker="{worker}",namespace="/echo"}} {count}.0' in metrics
    assert metrics.count("# TYPE rtserver_connections gauge") == 1
    assert re.search(r'rtserver_handovers_total\{worker="\w+",outcome="sent"\} [1-9]', metrics)
    assert 'outcome="failed"' not in metrics


class Sessions:
    """Clients that open a WebSocket each, one after the other, and another one a while after theirs was closed."""

    def __init__(self, server: RtServer, http: aiohttp.ClientSession) -> None:
        self._address = f"{server.url}/socket.io/?EIO=4&transport=websocket"
        self._http = http
        self._workers: dict[int, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def arrive(self, count: int) -> None:
        for _ in range(count):
            opened = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._live(len(self._tasks), opened)))
            await opened.wait()

    async def _live(self, number: int, opened: asyncio.Event) -> None:
        while True:
            async with self._http.ws_connect(self._address) as socket:
                self._workers[number] = json.loads((await socket.receive_str())[1:])["sid"].partition("-")[0]
                opened.set()
                async for message in socket:
                    if message.data == "2":
                        await socket.send_str("3")
            del self._workers[number]
            await asyncio.sleep(random.uniform(0, 1))  # as clients do, which otherwise come all at once

    async def leave(self) -> None:
        """Close them for good."""
        await cancelled(*self._tasks)

    async def spread(self, among: list[str]) -> Counter[str]:
        """How many each worker has, once all are there and each is at one of these."""
        async with asyncio.timeout(60):
            while len(self._workers) < len(self._tasks) or not set(self._workers.values()) <= set(among):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return Counter(self._workers.values())


def is_even(spread: Counter[str], workers: int) -> bool:
    even = spread.total() / workers
    return len(spread) == workers and all(abs(count - even) <= 0.2 * even for count in spread.values())


@pytest.mark.timeout(180)
async def test_clients_that_arrive_singly_are_spread_and_stay_so_after_a_roll(several: Start) -> None:
    server = await several(WORKERS=2, DRAIN_SECONDS=0)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        clients = Sessions(server, http)
        await clients.arrive(100)
        first = [line["instance"] for line in logged(server, "worker_started")]
        assert is_even(await clients.spread(first), 2)
        os.kill(server.pid, signal.SIGHUP)
        async with asyncio.timeout(100):
            while not logged(server, "rolled"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        second = [line["instance"] for line in logged(server, "worker_started")][2:]
        assert is_even(await clients.spread(second), 2)
        metrics = await (await http.get(server.url + "/metrics")).text()
        assert 'outcome="failed"' not in metrics
        await clients.leave()


async def test_a_killed_worker_is_replaced_and_its_clients_come_back(several: Start, js: Any) -> None:
    server = await several(WORKERS=2)
    clients = [
        await js(server.url, "/echo", transports=["polling"], reconnectionDelay=10, reconnectionDelayMax=50)
        for _ in range(6)
    ]
    killed = worker_of(clients[0])
    pids = {line["instance"]: line["pid"] for line in logged(server, "worker_started")}
    os.kill(pids[killed], signal.SIGKILL)
    for client in [client for client in clients if worker_of(client) == killed]:
        await client.io_event("reconnect")
    for client in clients:
        assert worker_of(client) != killed
        assert await client.call("echo", 1) == 1
    while not logged(server, "worker_back"):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert len(logged(server, "worker_died")) == 1
    assert await server.stop() == 0


async def test_failing_workers_are_restarted_with_growing_pauses_until_the_supervisor_gives_up(several: Start) -> None:
    server = await several(WORKERS=2, NAMESPACES="tests.workers.fragile:Fragile")
    broken, tries = server.folder / "broken", server.folder / "tries"
    broken.touch()
    os.kill(logged(server, "worker_started")[0]["pid"], signal.SIGKILL)
    while not (tries.exists() and len(tries.read_text().splitlines()) >= 2):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    broken.unlink()
    while not logged(server, "worker_back"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert [line["ended"] for line in logged(server, "worker_died")] == ["SIGKILL"], "said once, not for each try"
    assert logged(server, "worker_back")[0]["failures"] >= 2
    async with aiohttp.ClientSession() as http:
        assert (await http.get(server.url + "/healthz")).status == 200

    broken.touch()
    for line in logged(server, "worker_started"):
        if _runs(line["pid"]):
            os.kill(line["pid"], signal.SIGKILL)
    assert await server.exited(60) == 1
    assert [line["ended"] for line in logged(server, "no_worker_lasts")] == ["exit code 3"]


def test_the_pauses_grow_up_to_half_a_minute() -> None:
    assert [backoff(failures) for failures in range(10)] == [0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.timeout(300)  # six workers start one after the other
async def test_sighup_moves_each_client_once_and_refuses_no_connection(several: Start, js: Any) -> None:
    """A second SIGHUP during the restart causes another restart."""
    server = await several(WORKERS=2, DRAIN_SECONDS=1)

    async def opened(*transports: str) -> Any:
        return await js(server.url, "/echo", transports=transports, reconnectionDelay=10, reconnectionDelayMax=50)

    kinds = [["polling"], ["websocket"], ["polling", "websocket"]]
    clients = [await opened(*transports) for transports in kinds * 3]
    # Clients that send have POSTs in flight when their session is closed.
    talking = [asyncio.create_task(_talk(client)) for client in clients]
    for _ in range(2):
        os.kill(server.pid, signal.SIGHUP)
        await _connect_until(server, lambda: bool(logged(server, "rolling")))
    clients += [await opened(*transports) for transports in kinds]
    assert await _connect_until(server, lambda: len(logged(server, "rolled")) == 2) > 10
    for task in talking:
        task.cancel()
    started = [line["instance"] for line in logged(server, "worker_started")]
    assert len(started) == 2 + 2 + 2
    for client in clients:
        await client.connected()
        assert await client.call("echo", 1) == 1
        assert worker_of(client) in started[4:]
        _assert_moved_once_a_roll(client, started)
    assert not logged(server, "roll_ended")
    assert await server.stop() == 0


def _assert_moved_once_a_roll(client: Any, started: list[str]) -> None:
    """Each move took one attempt, after the server closed the connection."""
    workers = [str(args[0]["id"]).partition("-")[0] for kind, name, args in client._seen if (kind, name) == OPENED]
    generations = [started.index(worker) // 2 for worker in workers]
    assert generations == sorted(set(generations)), client._story()
    moves = len(generations) - 1
    assert client.times("manager", "reconnect_attempt") == moves == client.times("manager", "reconnect")
    ends = [args[0] for kind, name, args in client._seen if (kind, name) == ("socket", "disconnect")]
    assert ends == ["transport close"] * moves, client._story()


async def _talk(client: Any) -> None:
    while True:
        await client.emit("tell", 1)
        await asyncio.sleep(0.03)


async def _connect_until(server: RtServer, done: Callable[[], bool]) -> int:
    """Return how many new connections were made; fails when one was refused."""
    connects = 0
    async with asyncio.timeout(200):
        while not done():
            async with aiohttp.ClientSession() as http:  # a new connection each time
                assert (await http.get(server.url + "/healthz")).status == 200
            connects += 1
            await asyncio.sleep(0.01)
    return connects


async def test_a_second_sigterm_hurries_all_workers(several: Start, js: Any) -> None:
    server = await several(WORKERS=2, DRAIN_SECONDS=600, DRAIN_DELAY=600)
    clients = [await js(server.url, "/echo", transports=["websocket"], reconnection=False) for _ in range(4)]
    server.terminate()
    while len(logged(server, "stopping")) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert all(client.is_connected for client in clients)
    server.terminate()
    for client in clients:
        assert await client.disconnected() == "transport close"
    assert await server.exited(15) == 0
    assert len(logged(server, "hurrying")) == 2


async def test_workers_end_when_their_supervisor_is_killed(several: Start) -> None:
    server = await several(WORKERS=2)
    pids = [line["pid"] for line in logged(server, "worker_started")]
    assert len(pids) == 2
    os.kill(server.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while any(_runs(pid) for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_sid_of_an_unknown_or_dead_worker_is_rejected(several: Start) -> None:
    server = await several(WORKERS=2)
    names = [line["instance"] for line in logged(server, "worker_started")]
    hostile = ["gone99-x", f"{names[0]}-x", f"{names[1]}-x", "../x-y", f"{names[0]}.new-x", "-", "%00-x", "é-x"]
    async with aiohttp.ClientSession() as http:
        for sid in hostile * 3:
            params = {"EIO": "4", "transport": "polling", "sid": sid}
            async with http.get(server.url + "/socket.io/", params=params) as answer:
                assert (answer.status, (await answer.json())["message"]) == (400, "Session ID unknown"), sid
            async with http.post(server.url + "/socket.io/", params=params, data="4x" * 1000) as answer:
                assert answer.status == 400, sid

    # The folder of the Unix sockets is locked against clean-up of old files.
    folder = _folder_of(server.pid)
    with pytest.raises(BlockingIOError), _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert await server.stop() == 0
    assert not folder.exists()


async def test_a_fault_at_the_start_is_reported_once_and_ends_the_command(
    server: Any, redis_server: RedisServer
) -> None:
    with pytest.raises(AssertionError, match="ended with 1") as failure:
        await server(REDIS_URL=redis_server.url, NAMESPACES="no.such:Thing", WORKERS=3)
    assert str(failure.value).count("cannot be imported") == 1


def _folder_of(pid: int) -> Path:
    opened = [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
    [folder] = [path for path in opened if path.name.startswith("rtserver-")]
    return folder


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
