"""Uploaded files and their rows; on both databases."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtserver.errors import NotFound, TooLarge, Unavailable
from rtserver.store.db.database import Database
from rtserver.store.uploads.file_storage import UPLOAD_KEY, FolderStorage, new_key
from rtserver.store.uploads.upload_store import Quota, Upload, Uploads
from tests.store.conftest import OpenDatabase

OLD = 7200


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def broken() -> AsyncIterator[bytes]:
    yield b"half of it"
    raise ConnectionResetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def uploads(db: Database, folder: Path) -> Uploads:
    return Uploads(db, FolderStorage(folder), quota=Quota(100, 20))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def content(uploads: Uploads, upload: Upload, start: int = 0, length: int = 10**6) -> bytes:
    return b"".join([piece async for piece in uploads.read(upload.id, start, length)])


async def test_a_file_comes_back_whole_and_in_part(uploads: Uploads) -> None:
    saved = await uploads.save("alice", "cat.png", "image/png", pieces(b"abc", b"", b"defg"))
    assert UPLOAD_KEY.fullmatch(saved.id)
    assert (saved.name, saved.type, saved.size) == ("cat.png", "image/png", 7)
    assert await uploads.find(saved.id) == (saved, "alice")
    assert await content(uploads, saved) == b"abcdefg"
    assert await content(uploads, saved, 2, 3) == b"cde"
    await uploads.delete([saved.id])
    assert await uploads.find(saved.id) is None
    with pytest.raises(NotFound):
        await content(uploads, saved)
    await uploads.delete([saved.id])


async def test_an_aborted_upload_leaves_nothing(uploads: Uploads, folder: Path) -> None:
    with pytest.raises(ConnectionResetError):
        await uploads.save("alice", "cat.png", "image/png", broken())
    assert files(folder) == []


async def test_the_quota_of_a_user_holds_on_two_servers(
    uploads: Uploads, open_database: OpenDatabase, folder: Path
) -> None:
    other = Uploads(await open_database(), FolderStorage(folder), quota=Quota(100))
    sent = [store.save("alice", "x", "text/plain", pieces(b"x" * 30)) for store in (uploads, other) * 5]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(isinstance(outcome, Upload) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, TooLarge) for outcome in outcomes) == 7
    assert len(files(folder)) == 3
    assert (await uploads.save("bob", "x", "text/plain", pieces(b"x"))).size == 1
    assert (await uploads.save("", "x", "text/plain", pieces(b"x" * 1000))).size == 1000
    assert await uploads.erase("alice") == 3
    assert await uploads.erase("alice") == 0
    assert len(files(folder)) == 2


async def test_the_quota_of_files_holds_on_two_servers(
    uploads: Uploads, open_database: OpenDatabase, folder: Path
) -> None:
    other = Uploads(await open_database(), FolderStorage(folder), quota=Quota(files=20))
    sent = [store.save("alice", "x", "text/plain", pieces(b"x")) for store in (uploads, other) * 20]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(isinstance(outcome, Upload) for outcome in outcomes) <= 20
    assert all(isinstance(outcome, Upload | TooLarge) for outcome in outcomes)
    for _ in range(20 - len(files(folder))):
        await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    with pytest.raises(TooLarge, match="20 files"):
        await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    assert len(files(folder)) == 20
    gone = (await uploads.save("bob", "x", "text/plain", pieces(b"x"))).id
    await uploads.delete([gone])


async def test_what_is_being_received_counts(uploads: Uploads, folder: Path) -> None:
    """Otherwise a user could fill the disk with files that are refused at their end."""
    written: asyncio.Queue[int] = asyncio.Queue()
    ended = asyncio.Event()

    async def slow(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size
        written.put_nowait(size)
        await ended.wait()

    begun = [asyncio.create_task(uploads.save("alice", "x", "text/plain", slow(40))) for _ in range(2)]
    assert [await written.get() for _ in begun] == [40, 40]
    with pytest.raises(TooLarge):
        await uploads.save("alice", "x", "text/plain", slow(30))
    assert written.empty(), "the third was not written"
    assert (await uploads.save("bob", "x", "text/plain", pieces(b"x" * 90))).size == 90
    others = [asyncio.create_task(uploads.save("alice", "x", "text/plain", slow(1))) for _ in range(18)]
    assert [await written.get() for _ in others] == [1] * 18
    with pytest.raises(TooLarge, match="20 files"):
        await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    for task in begun:
        task.cancel()
    await asyncio.wait(begun)
    assert (await uploads.save("alice", "x", "text/plain", pieces(b"x" * 60))).size == 60
    ended.set()
    assert len([await task for task in others]) == 18
    assert not uploads._unfinished


async def test_files_without_a_row_are_removed_after_an_hour(uploads: Uploads, folder: Path) -> None:
    kept = await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    await FolderStorage(folder).save(young := new_key(), pieces(b"y"))
    await FolderStorage(folder).save(old := new_key(), pieces(b"z"))
    begun = folder / "aa" / f"{new_key()}.01234567.part"
    begun.parent.mkdir(exist_ok=True)
    begun.write_bytes(b"half")
    for path in (folder / old[:2] / old, folder / kept.id[:2] / kept.id, begun):
        age(path)
    await uploads.sweep()
    await uploads.sweep()
    assert {path.name for path in files(folder)} == {kept.id, young}


def age(path: Path) -> None:
    stamp = path.stat().st_mtime - OLD
    os.utime(path, (stamp, stamp))


async def test_a_clock_set_forward_removes_no_file_that_is_being_saved(
    db: Database, open_database: OpenDatabase, folder: Path
) -> None:
    """Another server that sweeps sees an old file without a row."""
    other = Uploads(await open_database(), FolderStorage(folder))

    class Slow(FolderStorage):
        async def save(self, key: str, chunks: AsyncIterator[bytes]) -> int:
            size = await super().save(key, chunks)
            age(folder / key[:2] / key)
            await other.sweep()
            return size

    uploads = Uploads(db, Slow(folder))
    saved = await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    await other.sweep()
    assert await content(uploads, saved) == b"x"

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x"
        for part in files(folder):
            age(part)
        await other.sweep()

    with pytest.raises(Unavailable):
        await uploads.save("alice", "y", "text/plain", slowly())
    assert [path.name for path in files(folder)] == [saved.id]


async def test_an_orphan_is_found_after_many_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtserver.store.uploads.file_storage.PAGE", 3)
    kept = sorted(new_key() for _ in range(20))
    for key in kept:
        await FolderStorage(folder).save(key, pieces(b"x"))
    found: list[str] = []
    while page := await FolderStorage(folder).keys(-60, found[-1] if found else ""):
        found += page
    assert found == kept


async def test_an_unwritable_folder_is_unavailable(db: Database, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("a file where the folder should be")
    uploads = Uploads(db, FolderStorage(tmp_path / "full"))
    with pytest.raises(Unavailable):
        await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    no_space = Uploads(db, FolderStorage(Path("/dev/full")))
    with pytest.raises(Unavailable):
        await no_space.save("alice", "x", "text/plain", pieces(b"x"))


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "a" * 31, "A" * 32, "a/" * 16, "a" * 32 + "\n"])
async def test_only_generated_keys_are_looked_up(folder: Path, key: str) -> None:
    with pytest.raises(NotFound):
        await anext(FolderStorage(folder).read(key, 0, 1))


async def test_a_file_that_is_being_saved_is_not_kept_for_an_erased_user(uploads: Uploads, folder: Path) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        begun.set()
        await gate.wait()
        yield b"second"

    saving = asyncio.create_task(uploads.save("eve", "a", "text/plain", slow()))
    await begun.wait()
    other = await uploads.save("bob", "b", "text/plain", pieces(b"x"))
    uploads.abandon("eve")
    assert await uploads.erase("eve") == 0
    gate.set()
    with pytest.raises(Unavailable):
        await saving
    assert [file.name for file in files(folder)] == [other.id]
    assert await uploads.save("eve", "a", "text/plain", pieces(b"as a new user"))
