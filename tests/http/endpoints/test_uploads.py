"""rtserver/http/endpoints/uploads.py: which uploads are accepted, and how files are sent."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rtserver.errors import Refused
from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.endpoints.uploads import UploadedFiles, UploadRulesApi, UploadsApi
from rtserver.identity import Identity
from rtserver.rate_limit import Rate
from rtserver.store.db.database import Database
from rtserver.store.uploads.file_storage import FolderStorage
from rtserver.store.uploads.upload_store import Quota, Uploads
from tests.http.conftest import Client, Serve
from tests.http.endpoints.test_publish import KEY

LIMIT = 1000


class Tokens:
    """The token of alice is `alice..`."""

    async def verify(self, token: str) -> Identity:
        if token.startswith("bad"):
            raise Refused("Auth failed", code="token_invalid")
        return Identity(token.partition(".")[0])


@pytest.fixture
async def client(serve: Serve, tmp_path: Path) -> AsyncIterator[Client]:
    database = Database(f"sqlite:///{tmp_path}/uploads.db")
    await database.connect()
    await database.migrate()
    uploads = Uploads(database, FolderStorage(tmp_path / "uploads"), quota=Quota(5000, 10))
    api = UploadsApi(uploads, limit=LIMIT, types=["image/*", "text/plain"], chunk_seconds=0.2)
    yield await serve(
        ApiRouter(api, credentials=Credentials([KEY], Tokens())), UploadedFiles(uploads), cors=["https://app"]
    )
    await database.close()


async def send(
    client: Client, body: Any, type_: str = "image/png", bearer: str = "alice..", query: str = "", **headers: str
) -> tuple[int, Any]:
    sent = {"Authorization": f"Bearer {bearer}", "Content-Type": type_, **headers}
    answer = await client.post(f"/api/uploads{query}", data=body, headers=sent)
    told = await answer.json()
    return answer.status, told if told["ok"] else told["error"]["code"]


async def test_an_uploaded_file_is_sent_to_everyone_with_its_url(client: Client) -> None:
    status, told = await send(client, b"picture", query="?name=K%C3%A4tzchen%22.png")
    assert status == 201
    assert told["url"] == f"/uploads/{told['upload']['id']}"
    assert {**told["upload"], "id": 0, "createdAt": 0} == {
        "id": 0, "name": 'Kätzchen".png', "type": "image/png", "size": 7, "createdAt": 0,
    }  # fmt: skip
    answer = await client.get(told["url"])
    assert (answer.status, await answer.read(), answer.content_type) == (200, b"picture", "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"] == "inline; filename*=UTF-8''K%C3%A4tzchen%22.png"
    again = await client.get(told["url"], headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    head = await client.head(told["url"])
    assert (head.status, head.headers["Content-Length"], await head.read()) == (200, "7", b"")


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-3", 206, b"789"), ("bytes=5-99", 206, b"56789"),
        ("bytes=-99", 206, b"0123456789"), ("bytes=10-", 416, b""), ("bytes=4-2", 416, b""), ("bytes=-0", 416, b""),
        ("bytes=-", 200, b"0123456789"), ("bytes=0-1,3-4", 200, b"0123456789"), ("lines=1-2", 200, b"0123456789"),
        ("bytes=" + "9" * 30 + "-", 200, b"0123456789"),
    ],
)  # fmt: skip
async def test_a_range_request_gets_a_part(client: Client, asked: str, status: int, body: bytes) -> None:
    _, told = await send(client, b"0123456789", "text/plain")
    answer = await client.get(told["url"], headers={"Range": asked})
    assert (answer.status, await answer.read()) == (status, body)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    if status == 206:
        start = b"0123456789".index(body)
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/10"


async def test_a_file_with_a_script_is_downloaded_and_sandboxed(client: Client) -> None:
    _, told = await send(client, b"<svg onload=alert(1)>", "image/svg+xml")
    answer = await client.get(told["url"])
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


async def trickle() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(60)
    yield b"y"


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


async def test_too_large_too_slow_and_disallowed_uploads_are_rejected(client: Client, tmp_path: Path) -> None:
    assert await send(client, b"x" * (LIMIT + 1)) == (413, "too_large")
    assert await send(client, chunks(11)) == (413, "too_large")
    assert await send(client, b"") == (400, "invalid_payload")
    assert await send(client, trickle()) == (408, "timeout")
    for type_ in ("text/html", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "image", "*/*"):
        assert await send(client, b"x", type_) == (415, "unsupported_media_type"), type_
    assert await send(client, gzip.compress(b"\0" * 100_000), **{"Content-Encoding": "gzip"}) == (
        415, "unsupported_media_type"
    )  # fmt: skip
    for name in ("", "..%2Fx", "a%00b", "a%0Ab", "a%0A", "a%7F", "a%C2%85", "a%5Cb", "x" * 201):
        assert await send(client, b"x", query=f"?name={name}") == (400, "invalid_payload"), name
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []


async def until(condition: Callable[[], bool]) -> None:
    """Poll, as the server does not report what it does with its folder."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_interrupted_upload_leaves_no_file(client: Client, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    head = "POST /api/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice..\r\nContent-Type: image/png\r\n"
    writer.write(f"{head}Content-Length: 500\r\n\r\nonly this".encode())
    await writer.drain()
    folder = tmp_path / "uploads"
    await until(lambda: any(path.is_file() for path in folder.rglob("*")))
    writer.close()
    await until(lambda: not any(path.is_file() for path in folder.rglob("*")))
    assert reader


async def test_only_known_users_upload_and_only_owners_delete(client: Client) -> None:
    assert (await send(client, b"x", bearer="bad.to.ken"))[0] == 401
    _, told = await send(client, b"x")
    address = f"/api/uploads/{told['upload']['id']}"

    async def delete(bearer: str, address: str = address) -> int:
        return (await client.delete(address, headers={"Authorization": f"Bearer {bearer}"})).status

    assert await delete("bob..") == 404
    assert await delete("alice..") == 200
    assert (await client.get(told["url"])).status == 404
    _, told = await send(client, b"x")
    assert await delete(KEY, f"/api/uploads/{told['upload']['id']}") == 200
    assert await delete(KEY, "/api/uploads/x") == 400
    assert (await client.get("/uploads/..%2f..%2fetc%2fpasswd")).status == 404
    assert (await client.get(f"/uploads/{'a' * 32}")).status == 404


async def test_users_have_a_quota_and_backends_have_none(client: Client) -> None:
    for _ in range(5):
        assert (await send(client, b"x" * LIMIT))[0] == 201
    assert await send(client, b"x") == (413, "too_large")
    assert (await send(client, b"x", bearer="bob.."))[0] == 201
    for _ in range(6):
        assert (await send(client, b"x" * LIMIT, bearer=KEY))[0] == 201


async def test_users_have_a_quota_of_files_too(client: Client) -> None:
    for _ in range(10):
        assert (await send(client, b"x"))[0] == 201
    assert await send(client, b"x") == (413, "too_large")
    assert (await send(client, b"x", bearer="bob.."))[0] == 201
    for _ in range(11):
        assert (await send(client, b"x", bearer=KEY))[0] == 201


async def test_uploads_are_counted_over_time_whether_they_end_or_not(serve: Serve, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/rate.db")
    await database.connect()
    await database.migrate()
    uploads = Uploads(database, FolderStorage(tmp_path / "rate"))
    api = UploadsApi(uploads, limit=LIMIT, types=["image/*"], rate=Rate(2, 60.0))
    client = await serve(ApiRouter(api, credentials=Credentials([KEY], Tokens())))
    outcomes = [await send(client, body) for body in (b"x", b"", chunks(11), b"", b"x", b"")]
    assert [status for status, _ in outcomes] == [201, 400, 413, 400, 429, 429]
    assert (await send(client, b"x", bearer="bob.."))[0] == 201
    for _ in range(6):
        assert (await send(client, b"x", bearer=KEY))[0] == 201
    await database.close()


@pytest.mark.parametrize(("limit", "types"), [(LIMIT, ["image/*", "text/plain"]), (0, [])])
async def test_users_learn_which_files_are_accepted(serve: Serve, limit: int, types: list[str]) -> None:
    rules = UploadRulesApi(limit=limit, types=["image/*", "text/plain"])
    client = await serve(ApiRouter(rules, credentials=Credentials([], Tokens())))
    answer = await client.get("/api/uploads", headers={"Authorization": "Bearer al.ic.e"})
    assert (answer.status, await answer.json()) == (200, {"ok": True, "limit": limit, "types": types})
    assert (await client.get("/api/uploads")).status == 401


async def test_concurrent_uploads_of_a_user_are_limited(client: Client) -> None:
    begun = [asyncio.create_task(send(client, trickle())) for _ in range(6)]
    statuses = sorted([(await task)[0] for task in begun])
    assert statuses == [408, 408, 408, 408, 429, 429]
    assert (await send(client, b"x"))[0] == 201
