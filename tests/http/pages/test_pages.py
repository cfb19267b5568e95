"""rtserver/http/pages/pages.py: the static pages."""

from pathlib import Path

import pytest
from yarl import URL

from rtserver.http.pages.pages import Pages
from tests.http.conftest import Client, Serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "index.html": "<h1>landing</h1>", "chat.html": "<h1>chat</h1>", "notifications.html": "<h1>inbox</h1>",
        "admin/index.html": "<h1>admin</h1>", "admin/admin.js": "admin()", "assets/css/site.css": "body{}",
        "assets/logo.svg": "<svg/>", "assets/.env": "SECRET", "assets/notes.py": "SECRET", "vendor/x.js": "vendor",
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tmp_path.joinpath("secret.html").write_text("SECRET")
    return tmp_path / "web"


@pytest.fixture
async def client(serve: Serve, folder: Path) -> Client:
    return await serve(Pages(folder, development=True))


@pytest.mark.parametrize(
    ("path", "text", "content_type"),
    [
        ("/", "landing", "text/html"),
        ("/chat", "chat", "text/html"),
        ("/notifications", "inbox", "text/html"),
        ("/admin/", "admin", "text/html"),
        ("/admin/admin.js", "admin()", "application/javascript"),
        ("/assets/css/site.css", "body{}", "text/css"),
        ("/assets/logo.svg", "<svg/>", "image/svg+xml"),
    ],
)
async def test_each_page_is_at_its_path(client: Client, path: str, text: str, content_type: str) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.content_type) == (200, content_type)
    assert text in await answer.text()


@pytest.mark.parametrize("path", ["/", "/chat", "/admin/", "/assets/css/site.css"])
async def test_pages_have_security_headers(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self' ws: wss:" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_an_unchanged_page_is_answered_with_304(client: Client) -> None:
    first = await client.get("/chat")
    second = await client.get("/chat", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status == 304


async def test_an_edited_page_is_served_without_a_restart(client: Client, folder: Path) -> None:
    await client.get("/chat")
    folder.joinpath("chat.html").write_text("<h1>better chat</h1>")
    assert "better" in await (await client.get("/chat")).text()


async def test_admin_without_the_slash_redirects(client: Client) -> None:
    answer = await client.get("/admin")
    assert (answer.status, answer.url.path) == (200, "/admin/")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/.env", "/assets/notes.py", "/vendor/x.js", "/chat.html", "/index.html", "/assets/", "/assets/css",
        "/assets/../../secret.html", "/assets/%2e%2e/%2e%2e/secret.html", "/assets/..%2f..%2fsecret.html",
        "/assets/css/site.css%00", "//etc/passwd", "/assets//etc/passwd", "/assets/..%5c..%5csecret.html",
    ],
)  # fmt: skip
async def test_no_other_file_is_reachable(client: Client, path: str) -> None:
    answer = await client.session.get(URL(str(client.make_url("")).rstrip("/") + path, encoded=True))
    assert answer.status in (400, 404), path
    assert "SECRET" not in await answer.text()


async def test_production_has_the_admin_page_and_no_demos(serve: Serve, folder: Path) -> None:
    client = await serve(Pages(folder, development=False))
    assert (await client.get("/admin/")).status == 200
    assert (await client.get("/assets/css/site.css")).status == 200
    assert (await client.get("/chat")).status == 404
    assert (await client.get("/notifications")).status == 404
    root = await client.get("/")
    assert (root.status, root.content_type) == (200, "text/plain")
    assert "landing" not in await root.text()


async def test_a_server_without_its_pages_still_starts(serve: Serve, tmp_path: Path) -> None:
    client = await serve(Pages(tmp_path / "none", development=True))
    assert (await client.get("/")).status == 200
    assert (await client.get("/admin/")).status == 404
