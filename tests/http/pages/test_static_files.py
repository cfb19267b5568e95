"""rtserver/http/pages/static_files.py and client_bundle.py: the client bundle as browsers request it."""

import gzip
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from rtserver.http.pages.client_bundle import NAMES, ClientBundle
from tests.http.conftest import Client, Serve

SCRIPT = b"/* the client */\n" + b"io.connect();\n" * 500
IDENTITY = {"Accept-Encoding": "identity"}


class EngineIo:
    """Stands in for Engine.IO at its path."""

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/socket.io/", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text="engine")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "web" / "socket.io"
    folder.mkdir(parents=True)
    for name in NAMES:
        folder.joinpath(name).write_bytes(b'{"version":3}' if name.endswith(".map") else SCRIPT)
    folder.joinpath("LICENSE").write_text("MIT")
    tmp_path.joinpath("web", "secret.js").write_text("secret")
    return folder


@pytest.fixture
async def client(serve: Serve, folder: Path) -> Client:
    return await serve(ClientBundle(folder), EngineIo(), cors=["https://app.example.com"])


@pytest.mark.parametrize("name", NAMES)
async def test_each_build_has_the_right_content_type(client: Client, name: str) -> None:
    answer = await client.get(f"/socket.io/{name}")
    expected = "application/json" if name.endswith(".map") else "application/javascript"
    assert answer.status == 200
    assert answer.headers["Content-Type"] == f"{expected}; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"].startswith('"')


async def test_a_second_request_is_answered_with_304(client: Client) -> None:
    for encoding in ("gzip", "identity"):
        first = await client.get("/socket.io/socket.io.js", headers={"Accept-Encoding": encoding})
        for tag in (first.headers["ETag"], f"W/{first.headers['ETag']}", f'"x", {first.headers["ETag"]}', "*"):
            headers = {"Accept-Encoding": encoding, "If-None-Match": tag}
            second = await client.get("/socket.io/socket.io.js", headers=headers)
            assert (second.status, await second.read()) == (304, b"")
            assert second.headers["ETag"] == first.headers["ETag"]
            assert second.headers["Cache-Control"] == first.headers["Cache-Control"]


async def test_list_headers_may_come_in_several_lines(client: Client) -> None:
    path = "/socket.io/socket.io.js"
    lines = CIMultiDict([("Accept-Encoding", "br"), ("Accept-Encoding", "gzip")])
    first = await client.get(path, headers=lines)
    assert first.headers["Content-Encoding"] == "gzip"
    lines.extend([("If-None-Match", '"other"'), ("If-None-Match", first.headers["ETag"])])
    assert (await client.get(path, headers=lines)).status == 304


async def test_an_etag_of_another_version_or_encoding_gets_the_whole_file(client: Client) -> None:
    zipped = await client.get("/socket.io/socket.io.js", headers={"Accept-Encoding": "gzip"})
    for tag in ('"other"', zipped.headers["ETag"], "rubbish", '"'):
        answer = await client.get("/socket.io/socket.io.js", headers={**IDENTITY, "If-None-Match": tag})
        assert (answer.status, await answer.read()) == (200, SCRIPT)


async def test_gzip_is_sent_to_clients_that_accept_it(serve: Serve, folder: Path) -> None:
    client = await serve(ClientBundle(folder))
    url = client.make_url("/socket.io/socket.io.js")
    async with client.session.get(url, headers={"Accept-Encoding": "gzip, br"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert int(answer.headers["Content-Length"]) == len(gzip.compress(SCRIPT, 6, mtime=0)) < len(SCRIPT)
        assert await answer.read() == SCRIPT
    async with client.session.get(url, headers=IDENTITY) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.read() == SCRIPT


async def test_head_returns_the_size_without_the_body(client: Client) -> None:
    answer = await client.head("/socket.io/socket.io.js", headers=IDENTITY)
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(SCRIPT)))
    assert await answer.read() == b""


@pytest.mark.parametrize(
    "path",
    [
        "/socket.io/LICENSE", "/socket.io/", "/socket.io", "/socket.io/../secret.js", "/socket.io/%2e%2e/secret.js",
        "/socket.io/..%2fsecret.js", "/socket.io//secret.js", "/socket.io/socket.io.js/..%2f..%2fsecret.js",
        "/socket.io/socket.io.js%00", "/socket.io/SOCKET.IO.JS",
    ],
)  # fmt: skip
async def test_no_other_file_is_reachable(client: Client, path: str) -> None:
    url = URL(f"{client.make_url('')}".rstrip("/") + path, encoded=True)
    answer = await client.session.get(url)
    body = await answer.text()
    assert body == "engine" if path == "/socket.io/" else answer.status in (400, 404), path
    assert "MIT" not in body
    assert "secret" not in body


async def test_engine_io_keeps_its_path(client: Client) -> None:
    assert await (await client.post("/socket.io/?EIO=4&transport=polling")).text() == "engine"


async def test_a_missing_bundle_is_explained_and_served_once_installed(serve: Serve, folder: Path) -> None:
    script = folder / "socket.io.min.js"
    script.unlink()
    client = await serve(ClientBundle(folder))
    answer = await client.get("/socket.io/socket.io.min.js")
    text = await answer.text()
    assert (answer.status, answer.content_type) == (404, "text/plain")
    assert "npm" in text
    assert "make setup" in text
    script.write_bytes(SCRIPT)
    assert (await client.get("/socket.io/socket.io.min.js")).status == 200


async def test_an_upgraded_client_is_served_without_a_restart(client: Client, folder: Path) -> None:
    first = await client.get("/socket.io/socket.io.js")
    folder.joinpath("socket.io.js").write_bytes(b"new")
    headers = {"If-None-Match": first.headers["ETag"]}
    second = await client.get("/socket.io/socket.io.js", headers=headers)
    assert (second.status, await second.read()) == (200, b"new")


async def test_pages_of_allowed_origins_may_load_the_bundle(client: Client) -> None:
    answer = await client.get("/socket.io/socket.io.js", headers={"Origin": "https://app.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert answer.headers["Vary"] == "Accept-Encoding, Origin"
