"""rtserver/private_files.py, and that every file of a server is one."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rtserver import private_files
from rtserver.config.dev_secret import dev_secret, keep_link
from rtserver.store.db.database import Database
from rtserver.store.uploads.file_storage import FolderStorage
from rtserver.store.uploads.upload_store import Uploads


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(folder: Path, bits: int = 0o077) -> dict[str, str]:
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): oct(mode(path)) for path in paths if mode(path) & bits}


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@asynccontextmanager
async def written(data: Path) -> AsyncIterator[None]:
    """Do what writes files: the secret, the database with its log, an upload."""
    dev_secret(data)
    database = Database(f"sqlite:///{data}/deep/rtserver.db")
    await database.connect()
    await database.migrate()
    uploads = Uploads(database, FolderStorage(data / "uploads"))
    await uploads.save("alice", "x", "text/plain", pieces(b"x"))
    yield
    await database.close()


async def test_no_file_of_a_server_can_be_read_by_others(tmp_path: Path) -> None:
    async with written(tmp_path / "missing" / "var"):
        assert open_to_others(tmp_path / "missing") == {}
    assert open_to_others(tmp_path / "missing") == {}


async def test_files_of_an_earlier_version_are_closed_to_others_but_not_to_their_group(
    tmp_path: Path,
) -> None:
    data = tmp_path / "var"
    async with written(data):
        for path in data.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        data.chmod(0o755)
        async with written(data):
            databases = {path.name: oct(mode(path)) for path in (data / "deep").iterdir()}
            assert databases == dict.fromkeys(("rtserver.db", "rtserver.db-wal", "rtserver.db-shm"), oct(0o640))
            assert mode(data / "uploads") == 0o750
            assert mode(data) == 0o755, "a folder that may hold other things is left alone"


async def test_the_file_behind_a_link_is_private(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir(0o700)
    (tmp_path / "deep" / "rtserver.db").symlink_to(tmp_path / "elsewhere.db")
    async with written(tmp_path):
        assert mode(tmp_path / "elsewhere.db") == mode(tmp_path / "elsewhere.db-wal") == 0o600


async def test_a_migration_alone_creates_a_private_file(tmp_path: Path) -> None:
    private_files.make_folder(folder := tmp_path / "var")
    await Database(f"sqlite:///{folder}/rtserver.db").migrate()
    assert open_to_others(folder) == {}


def test_the_link_with_the_key_of_the_demo_pages_is_private(tmp_path: Path) -> None:
    kept = keep_link(tmp_path / "missing" / "var", "http://127.0.0.1:8000/#key=k")
    assert kept is not None
    assert kept.read_text() == "http://127.0.0.1:8000/#key=k\n"
    assert open_to_others(tmp_path / "missing") == {}
    assert [path.name for path in kept.parent.iterdir()] == [kept.name], "no draft is left"


def test_folders_above_are_made_private_and_existing_ones_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_files.make_folder(tmp_path / "a" / "b")
    private_files.make_folder(tmp_path / "a" / "b")
    assert [mode(each) for each in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o700, 0o700]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        private_files.make_folder(tmp_path / "file" / "b")


def test_a_file_that_exists_is_not_opened_as_new(tmp_path: Path) -> None:
    os.close(private_files.open_new(tmp_path / "file"))
    with pytest.raises(FileExistsError):
        private_files.open_new(tmp_path / "file")
    private_files.close_to_others(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        private_files.open_new(tmp_path / "link")
