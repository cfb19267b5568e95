"""rtserver/app/composition.py: which pages of other origins a whole server admits, in either mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser

from rtserver.app.composition import SERVER, create_app, dev_token
from rtserver.config.dev_secret import page_key
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from rtserver.engine.session.interfaces import Reason
from rtserver.store.db.database import Database

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-HS256"
API_KEY = "an-api-key-of-the-tests-0123456789abcdef"
POLLING = "/socket.io/?EIO=4&transport=polling"
BUNDLE = "/socket.io/socket.io.js"
WEBSOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
LISTED = "https://app.example.com"

PAGE = """<!doctype html><title>A first page</title><script src="SERVER/socket.io/socket.io.js"></script><script>
window.connect = (transport, token) => new Promise((resolve, reject) => {
  const socket = io("SERVER/chat", {auth: {token}, transports: [transport], forceNew: true, withCredentials: true});
  socket.on("connect", () => { resolve(socket.io.engine.transport.name); socket.disconnect(); });
  socket.on("connect_error", (error) => { reject(error); socket.disconnect(); });
});
window.read = async (path, headers = {}) => {
  try { return (await fetch("SERVER" + path, {headers, credentials: "include"})).status } catch { return "blocked" }
};
</script>"""

Start = Callable[..., Awaitable[str]]


@pytest.fixture
async def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Start]:
    """`await started(app)` serves it on a free port of this process; returns the port."""
    monkeypatch.chdir(tmp_path)
    runners: list[web.AppRunner] = []

    async def start(app: web.Application, runner: type[web.AppRunner] = Runner) -> int:
        running = runner(app, access_log=None, shutdown_timeout=0.1)
        runners.append(running)
        await running.setup()
        await web.TCPSite(running, "127.0.0.1", 0).start()
        port: int = running.addresses[0][1]
        return port

    yield start  # type: ignore[misc]
    for running in runners:
        if SERVER in running.app:
            # Nobody polls any more: a server that stops would wait for these clients.
            for session in list(running.app[SERVER].engine.sockets.values()):
                session.abort(Reason.TRANSPORT_CLOSE)
        await running.cleanup()


async def migrated(settings: Settings) -> Settings:
    database = Database(settings.database_url.get_secret_value())
    await database.connect()
    await database.migrate()
    await database.close()
    return settings


async def admitted(port: int, origin: str, host: str | None = None) -> list[bool]:
    """Whether a page may poll, connect, call the API (after a preflight) and load the client."""
    headers = {"Origin": origin} | ({"Host": host} if host else {})
    preflight = headers | {"Access-Control-Request-Method": "POST"}
    url = f"http://127.0.0.1:{port}"
    answers = []
    async with aiohttp.ClientSession() as http:
        for method, path, sent in (
            ("GET", POLLING, headers), ("GET", POLLING.replace("polling", "websocket"), headers | WEBSOCKET),
            ("OPTIONS", POLLING, preflight), ("POST", "/api/notifications", headers),
            ("OPTIONS", "/api/notifications", preflight), ("GET", BUNDLE, headers), ("GET", "/none", headers),
        ):  # fmt: skip
            async with http.request(method, url + path, headers=sent) as answer:
                answers.append(answer.headers.get("Access-Control-Allow-Origin") == origin)
        async with http.get(f"{url}/dev/tokens", headers=headers) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers or answer.status == 404
    return answers


async def test_each_door_admits_the_same_pages(started: Start) -> None:
    """Engine.IO over both transports, its preflights, the API and the client bundle obey one rule."""
    production = Settings(
        mode="production", jwt_secret=SECRET, api_key=API_KEY, cors_origins=[LISTED, "file://", "capacitor://localhost"]
    )
    ports = {
        "production": await started(create_app(await migrated(production))),
        "development": await started(create_app(Settings(api_key=API_KEY, cors_origins=[LISTED]))),
    }
    everywhere = (LISTED, "HTTPS://APP.example.com:443/", "wss://app.example.com")
    for mode, origins in {
        "production": (*everywhere, "file://", "capacitor://localhost"),
        "development": (
            *everywhere, "http://localhost:5173", "https://127.0.0.1:1", "http://[::1]:3000", "http://app.localhost",
        ),
    }.items():  # fmt: skip
        for origin in origins:
            assert all(await admitted(ports[mode], origin)), (mode, origin)
        assert all(await admitted(ports[mode], "https://rt.example.com", "rt.example.com:443"))
    nowhere = ("null", "https://app.example.com.evil", "https://evil@app.example.com", "http://localhost.evil", "")
    for mode, origins in {
        "production": (
            *nowhere,
            "http://localhost:5173",
            "http://127.0.0.1:1",
            "http://[::1]:3000",
            "ionic://localhost",
        ),
        "development": (*nowhere, "file://", "capacitor://localhost", "http://192.168.1.5:5173"),
    }.items():
        for origin in origins:
            assert not any(await admitted(ports[mode], origin)), (mode, origin)


async def test_a_first_page_of_ones_own_works_in_development(started: Start, browser: Browser) -> None:
    """A real browser loads the client, connects over either transport and calls the API from a page of another port."""
    settings = Settings(api_key=API_KEY)
    server = f"http://127.0.0.1:{await started(create_app(settings))}"
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE.replace("SERVER", server), content_type="text/html")

    app.router.add_get("/", page)
    own = f"http://localhost:{await started(app, web.AppRunner)}"
    tab = await browser.new_page()
    await tab.goto(own)
    token = dev_token(settings, "ada", "Ada")
    for transport in ("polling", "websocket"):
        assert await tab.evaluate("([name, token]) => connect(name, token)", [transport, token]) == transport
    # The header makes the browser ask first.
    key = {"Authorization": f"Bearer {API_KEY}"}
    assert await tab.evaluate("(headers) => read('/api/users/ada/unread', headers)", key) == 200
    assert await tab.evaluate("(headers) => read('/api/none', headers)", key) == 404
    # The ready-made tokens are for the server's own pages. The refusal is readable, and holds nothing.
    page = {"Authorization": f"Bearer {page_key(settings.signing_secret())}"}
    assert await tab.evaluate("read('/dev/tokens')") == 404
    assert await tab.evaluate("(headers) => read('/dev/tokens', headers)", page) == "blocked"
    assert await tab.evaluate("read('/metrics')") == "blocked"
    await tab.goto(f"{server}/chat")
    ask = "(key) => fetch('/dev/tokens', {headers: {authorization: `Bearer ${key}`}}).then((answer) => answer.status)"
    assert await tab.evaluate(ask, page_key(settings.signing_secret())) == 200
    assert await tab.evaluate(ask, "a guess") == 401
