"""Write probe: a disk that takes no writes is found, and finding it costs little."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from rtserver.errors import Unavailable
from rtserver.store.db import database, write_probe
from rtserver.store.db.database import Database
from rtserver.store.db.write_probe import EVERY, WriteProbe
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft
from rtserver.store.uploads.file_storage import FolderStorage


class Disk:
    def __init__(self) -> None:
        self.full = False
        self.probes = self.written = 0
        self.slow: asyncio.Event | None = None

    async def write(self) -> None:
        self.probes += 1
        if self.slow is not None:
            await self.slow.wait()
        if self.full:
            raise Unavailable("full")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr(write_probe, "time", SimpleNamespace(monotonic=lambda: time[0]))
    return time


async def fails(probe: WriteProbe) -> bool:
    try:
        await probe.check()
    except Unavailable:
        return True
    return False


async def test_a_full_disk_is_reported_until_it_takes_writes_again(now: list[float]) -> None:
    disk = Disk()
    probe = WriteProbe(disk.write, lambda: disk.written)
    assert not await fails(probe)
    disk.full = True
    assert not await fails(probe), "not due yet"
    now[0] += EVERY
    assert [await fails(probe) for _ in range(3)] == [True] * 3
    disk.full = False
    now[0] += EVERY
    assert not await fails(probe)


async def test_many_checks_write_seldom(now: list[float]) -> None:
    disk = Disk()
    probe = WriteProbe(disk.write, lambda: disk.written)
    await asyncio.gather(*(probe.check() for _ in range(100)))
    assert disk.probes == 1
    for _ in range(100):
        now[0] += EVERY / 10
        await probe.check()
    assert disk.probes <= 12


async def test_what_was_written_anyway_is_a_probe(now: list[float]) -> None:
    disk = Disk()
    probe = WriteProbe(disk.write, lambda: disk.written)
    for _ in range(20):
        now[0] += EVERY
        disk.written += 1
        await probe.check()
    assert disk.probes == 0


async def test_a_queue_of_writers_is_no_full_disk(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_probe, "PATIENCE", 0.01)
    disk = Disk()
    probe = WriteProbe(disk.write, lambda: disk.written)
    disk.slow = asyncio.Event()
    assert [await fails(probe) for _ in range(3)] == [False] * 3
    assert disk.probes == 1
    disk.full = True
    disk.slow.set()
    await asyncio.sleep(0)
    now[0] += EVERY
    assert await fails(probe)


@contextmanager
def no_file_grows() -> Iterator[None]:
    """As on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_on_a_full_disk_answers_reads_and_fails_the_check(
    db: Database, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_probe, "EVERY", 0.0)
    await db.check()
    with capture_logs() as logs, no_file_grows():
        await db.ping()
        for _ in range(20):
            with pytest.raises(Unavailable):
                await messages.append(Draft("lobby", Author("ann", "Ann"), "hi"))
            with pytest.raises(Unavailable):
                await db.check()
    assert [line["event"] for line in logs] == ["database_trouble"]
    await db.check()
    await messages.append(Draft("lobby", Author("ann", "Ann"), "hi"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_last_bytes_of_a_disk_are_none(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_probe, "EVERY", 0.0)
    monkeypatch.setattr(database.shutil, "disk_usage", lambda folder: SimpleNamespace(free=100_000))
    with pytest.raises(Unavailable):
        await db.check()


async def test_the_check_changes_nothing(db: Database, messages: Messages, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both databases."""
    monkeypatch.setattr(write_probe, "EVERY", 0.0)
    saved, _ = await messages.append(Draft("lobby", Author("ann", "Ann"), "hi"))
    for _ in range(3):
        await db.check()
    assert (await messages.history("lobby", before=None, after=None, limit=5))[0] == [saved]
    assert not await db.needs_migration()


async def test_a_folder_of_uploads_is_probed_and_nothing_stays(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "uploads")
    await storage.probe()
    (tmp_path / "uploads").mkdir()
    await storage.probe()
    assert (os.listdir(tmp_path), os.listdir(tmp_path / "uploads")) == (["uploads"], [])
    with capture_logs() as logs, no_file_grows():
        for _ in range(20):
            with pytest.raises(Unavailable):
                await storage.probe()
    assert [line["event"] for line in logs] == ["storage_trouble"]
