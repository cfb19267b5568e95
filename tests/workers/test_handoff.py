"""Connection handoff: requests that reach the wrong worker, and invalid data at the handoff socket.

Two workers in this process, each with a port of its own, so that a test chooses who gets a request first.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from rtserver.engine.runner import Runner
from rtserver.engine.server import Engine
from rtserver.telemetry.metrics import Metrics
from rtserver.workers import handoff, handoff_receiver
from rtserver.workers.handoff import HandoffSender
from rtserver.workers.handoff_receiver import HandoffReceiver
from rtserver.workers.shared_load import SharedLoad
from tests.engine.conftest import Listener, Served, eventually
from tests.engine.wire import Wire, request

LIMIT = 300_000
CHUNKED = {"Transfer_Encoding": "chunked"}
Pair = tuple[Served, Served]


async def worker(name: str, folder: Path) -> tuple[Served, HandoffReceiver]:
    listener, metrics = Listener(), Metrics()
    engine = Engine(listener, metrics, instance_id=name, max_http_buffer_size=LIMIT)
    load = SharedLoad(folder, name, lambda: len(engine.sockets))
    engine.peer_workers = HandoffSender(folder, name, LIMIT, metrics.handoff, load)
    app = web.Application()
    engine.attach(app)
    runner = Runner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    adopting = HandoffReceiver(folder, name, runner.server, LIMIT)  # type: ignore[arg-type]
    adopting.start()
    return Served(engine, listener, metrics, runner), adopting


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Workers `one` and `two`; fails on exceptions that only the event loop saw."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    made = [await worker(name, tmp_path) for name in ("one", "two")]
    yield made[0][0], made[1][0]
    for served, adopting in made:
        adopting.close()
        await served.close()
    assert unseen == []


def outcomes(served: Served) -> dict[str, int]:
    return dict(served.metrics.handoffs)


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


async def test_chunked_and_compressed_bodies_arrive_whole(pair: Pair) -> None:
    """In chunks, compressed, and larger than one read; the connection can be reused afterwards."""
    one, two = pair
    query, there = await one.poll_session()
    other_query, here = await two.poll_session()
    wire = await two.wire()
    large = "x" * 250_000
    assert (await wire.ask(request("POST", query, chunks(b"4in ", b"chunks"), **CHUNKED))).text == "ok"
    assert (await wire.ask(request("POST", other_query, b"4at home"))).text == "ok"
    packed = gzip.compress(b"4packed")
    assert (await wire.ask(request("POST", query, packed, Content_Encoding="gzip"))).text == "ok"
    assert (await wire.ask(request("POST", query, b"4" + large.encode()))).text == "ok"
    assert (await wire.ask(request("POST", query, chunks(b"4" + large.encode()), **CHUNKED))).text == "ok"
    assert await there.received(4) == ["in chunks", "packed", large, large]
    assert await here.received(1) == ["at home"]
    assert "failed" not in outcomes(one) | outcomes(two)


@pytest.mark.parametrize("how", ["known", "chunked", "compressed"])
async def test_a_too_large_body_is_rejected_as_by_the_right_worker(pair: Pair, how: str) -> None:
    one, two = pair
    body = b"4" + b"x" * (LIMIT + 1)

    def post(query: str) -> bytes:
        if how == "chunked":
            return request("POST", query, chunks(body), **CHUNKED)
        if how == "compressed":
            return request("POST", query, gzip.compress(body), Content_Encoding="gzip")
        return request("POST", query, body)

    (query, direct), (other_query, moved) = await one.poll_session(), await one.poll_session()
    expected, answer = await one.ask(post(query)), await two.ask(post(other_query))
    assert (answer.status, answer.body) == (expected.status, expected.body)
    assert answer.status == 413
    assert (moved.messages, moved.reasons) == (direct.messages, direct.reasons)
    assert outcomes(two) == {"sent": 1}


async def test_a_pipelined_request_is_not_handed_over_and_its_connection_closes(pair: Pair) -> None:
    """Part of the second request was read here: after a handoff, its rest would count as a request of its own."""
    one, two = pair
    query, there = await one.poll_session()
    behind = [request("POST", query, b"4second"), b"POST /engine.io/", request("GET", "", path="/admin/")]
    for rest in behind:
        wire = await two.wire()
        answer = await wire.ask(request("POST", query, b"4first") + rest)
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert await wire.reader.read() == b""
    assert outcomes(two) == {"failed": len(behind)}
    assert (await two.ask(request("POST", query, b"4alone"))).text == "ok"
    assert await there.received(1) == ["alone"]


async def test_slow_requests_do_not_block_other_handoffs(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    monkeypatch.setattr(handoff, "MAX_SLOW", 3)
    query, there = await one.poll_session()
    slow: list[Wire] = []
    for _ in range(3):
        slow.append(await two.wire())
        await slow[-1].send(request("POST", query, b"2\r\n4h", **CHUNKED))
    mover: Any = two.engine.peer_workers
    await eventually(lambda: mover._reading == 3)
    one_more = await two.ask(request("POST", query, chunks(b"4no"), **CHUNKED))
    assert (one_more.status, one_more.headers["connection"]) == (503, "close")
    assert outcomes(two) == {"busy": 1}
    for _ in range(5):
        assert (await two.ask(request("POST", query, b"4yes"))).text == "ok"
    there.send("poll")
    assert "4poll" in (await two.ask(request("GET", query))).text
    assert (await slow[0].ask(b"\r\n0\r\n\r\n")).text == "ok"
    slow[1].abort()
    await eventually(lambda: mover._reading == 1)
    assert (await two.ask(request("POST", query, chunks(b"4again"), **CHUNKED))).text == "ok"
    assert await there.received(7) == [*["yes"] * 5, "h", "again"]


async def test_an_unfinished_body_times_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    monkeypatch.setattr(handoff, "SECONDS", 0.1)
    query, there = await one.poll_session()
    answer = await two.ask(request("POST", query, b"2\r\n4h", **CHUNKED))
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert outcomes(two) == {"failed": 1}
    assert there.messages == there.reasons == []


async def test_the_body_is_not_read_for_an_unknown_worker(pair: Pair) -> None:
    _, two = pair
    for sid in ("gone-x", "one.new-x", "../one-x", "two-x"):
        answer = await two.ask(request("POST", f"EIO=4&transport=polling&sid={sid}", b"2\r\n4h", **CHUNKED))
        assert (answer.status, answer.json()["code"]) == (400, 1)
    assert outcomes(two) == {}


# The handoff socket, which only processes of this user can reach.

Attack = Callable[[socket.socket, int], None]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(handoff.LENGTH, "big") + data


def _datagram(end: socket.socket, fd: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        socket.send_fds(end, [framed(GET)], [other.fileno()])


def _file(end: socket.socket, fd: int) -> None:
    with open(os.devnull, "rb") as other:
        socket.send_fds(end, [framed(GET)], [other.fileno()])


def _in_each_part(end: socket.socket, fd: int) -> None:
    socket.send_fds(end, [framed(GET)[:6]], [fd])
    socket.send_fds(end, [framed(GET)[6:] + b"more"], [fd, fd])


ATTACKS: dict[str, Attack] = {
    "nothing": lambda end, fd: None,
    "no descriptor": lambda end, fd: end.sendall(framed(GET)),
    "a descriptor with each part, and too much": _in_each_part,
    "a length that is too large": lambda end, fd: socket.send_fds(end, [b"\xff\xff\xff\xff" + GET], [fd]),
    "more than was announced": lambda end, fd: socket.send_fds(end, [framed(GET) + b"x"], [fd]),
    "less than was announced": lambda end, fd: socket.send_fds(end, [framed(GET)[:-1]], [fd]),
    "a part of a length": lambda end, fd: socket.send_fds(end, [b"\0"], [fd]),
    "a file": _file,
    "a datagram socket": _datagram,
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_invalid_handoff_is_dropped_and_leaves_no_descriptor(pair: Pair, tmp_path: Path, attack: str) -> None:
    one, two = pair
    query, there = await one.poll_session()
    before = len(os.listdir("/proc/self/fd"))
    ours, theirs = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(tmp_path / "one"))
        ATTACKS[attack](end, theirs.fileno())
    theirs.close()
    await _ended(ours)
    await eventually(lambda: len(os.listdir("/proc/self/fd")) == before, lambda: "descriptors are left")
    assert (await two.ask(request("POST", query, b"4well"))).text == "ok"
    assert await there.received(1) == ["well"]


async def test_an_incomplete_handoff_times_out(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff_receiver, "SECONDS", 0.1)
    ours, theirs = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(tmp_path / "one"))
        socket.send_fds(end, [framed(GET)[:9]], [theirs.fileno()])
        theirs.close()
        await _ended(ours)


async def test_handoffs_wait_for_a_free_descriptor_without_a_busy_loop(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handoff_receiver, "PAUSE", 0.05)
    ours, theirs = socket.socketpair()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as end, capture_logs() as logs:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            end.connect(str(tmp_path / "one"))
            socket.send_fds(end, [framed(GET)], [theirs.fileno()])
            await eventually(lambda: logs)
            lines = len(logs)
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(logs) <= lines + 2
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        theirs.close()
        wire = await Wire.open(0, sock=ours)
        assert (await wire.answer()).status == 404
        wire.abort()
    assert {line["event"] for line in logs} == {"handovers_wait"}


async def test_of_several_descriptors_only_one_is_accepted(pair: Pair, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (ours, theirs), (kept, given) = socket.socketpair(), socket.socketpair()
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(tmp_path / "one"))
        socket.send_fds(end, [framed(GET)], [theirs.fileno(), given.fileno()])
    theirs.close()
    given.close()
    wire = await Wire.open(0, sock=ours)
    assert (await wire.answer()).status == 404
    await _ended(kept)
    wire.abort()
    await eventually(lambda: len(os.listdir("/proc/self/fd")) == before, lambda: "descriptors are left")


async def _ended(end: socket.socket) -> None:
    """Wait until every copy of the other end is closed; nothing may have been sent there."""
    end.setblocking(False)
    with end:
        async with asyncio.timeout(10):
            assert await asyncio.get_running_loop().sock_recv(end, 1) == b""
