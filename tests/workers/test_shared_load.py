"""Shared load: who counts as crowded, and where handshakes go; several workers' loads in one process."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rtserver.workers import shared_load
from rtserver.workers.shared_load import ACCEPTS_NEW, FRESH, LOAD, SharedLoad


class Worker:
    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.sessions = name, 0
        self.accepts = folder / (name + ACCEPTS_NEW)
        self.load = SharedLoad(folder, name, lambda: self.sessions)

    def start(self) -> None:
        self.accepts.touch()
        self.load.start()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Callable[[int], dict[str, Worker]]]:
    made: dict[str, Worker] = {}

    def start(count: int) -> dict[str, Worker]:
        for name in "abcdefgh"[:count]:
            made[name] = Worker(tmp_path, name)
            made[name].start()
        for worker in made.values():
            worker.load._look_for_others()
        return made

    yield start
    for worker in made.values():
        worker.load.close()
    assert not any(name.endswith(LOAD) for name in os.listdir(tmp_path))


def arrive(workers: dict[str, Worker], at: str) -> None:
    """A client whose connection the worker `at` accepts."""
    hops = 0
    while workers[at].load.crowded():
        at = workers[at].load.least() or at
        hops += 1
        assert hops <= len(workers), "a handshake must not circulate"
    workers[at].sessions += 1
    workers[at].load._write()


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("clients", [20, 200, 1000])
async def test_clients_that_one_worker_accepts_are_spread(
    fleet: Callable[[int], dict[str, Worker]], count: int, clients: int
) -> None:
    workers = fleet(count)
    for _ in range(clients):
        arrive(workers, "a")
    even = clients / count
    assert all(abs(worker.sessions - even) <= max(2, 0.2 * even) for worker in workers.values()), {
        name: worker.sessions for name, worker in workers.items()
    }


async def test_a_worker_that_begins_gets_the_new_clients_until_it_has_its_share(
    fleet: Callable[[int], dict[str, Worker]],
) -> None:
    workers = fleet(2)
    workers["a"].sessions = 300
    for _ in range(200):
        arrive(workers, "a")
    assert workers["b"].sessions == 200
    for _ in range(200):
        arrive(workers, "a")
    assert 320 <= workers["b"].sessions <= 370


async def test_a_single_client_is_not_moved(fleet: Callable[[int], dict[str, Worker]]) -> None:
    workers = fleet(2)
    arrive(workers, "a")
    assert workers["a"].sessions == 1


async def test_a_worker_that_stands_still_gets_nothing(
    fleet: Callable[[int], dict[str, Worker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = fleet(2)
    workers["a"].sessions = 100
    assert workers["a"].load.crowded()
    now = shared_load.time.monotonic()
    monkeypatch.setattr(shared_load.time, "monotonic", lambda: now + FRESH + 0.1)
    assert not workers["a"].load.crowded()


async def test_a_worker_that_opens_no_sessions_gets_none(fleet: Callable[[int], dict[str, Worker]]) -> None:
    workers = fleet(3)
    workers["b"].accepts.unlink()
    assert {workers["a"].load.least() for _ in range(20)} == {"c"}
    workers["c"].accepts.unlink()
    assert workers["a"].load.least() is None
    workers["a"].sessions = 100
    assert not workers["a"].load.crowded()


async def test_workers_that_are_equal_get_equal_parts(fleet: Callable[[int], dict[str, Worker]]) -> None:
    """Of many that arrive before any of them counts."""
    workers = fleet(4)
    workers["a"].sessions = 1000
    sent = Counter(workers["a"].load.least() for _ in range(900))
    assert set(sent) == {"b", "c", "d"}
    assert min(sent.values()) > 200


async def test_a_worker_without_a_load_of_its_own_is_used_as_the_last_one(
    fleet: Callable[[int], dict[str, Worker]], tmp_path: Path
) -> None:
    """It has just started."""
    workers = fleet(1)
    (tmp_path / ("new" + ACCEPTS_NEW)).touch()
    assert workers["a"].load.least() == "new"
    workers["a"].sessions = 100
    assert not workers["a"].load.crowded()


async def test_damaged_files_count_for_nothing(fleet: Callable[[int], dict[str, Worker]], tmp_path: Path) -> None:
    workers = fleet(2)
    workers["a"].sessions = 100
    (tmp_path / ("b" + LOAD)).write_bytes(b"x" * 7)
    assert not workers["a"].load.crowded()
