"""JSONP in a real browser: the official client of version 2, which its pages make use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from playwright.async_api import Browser

from rtserver.engine.runner import Runner
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace, event
from rtserver.sio.server import Server
from tests.support.repository import ROOT

CLIENT = ROOT / "node_modules" / "socket.io-client-v2" / "dist" / "socket.io.js"
PAGE = """<!doctype html><script src="/v2.js"></script><script>
window.echo = (url, text) => new Promise((resolve) => {
  const socket = io(url, {transports: ["polling"], forceJSONP: true, forceNew: true, reconnection: false});
  socket.on("connect", () => socket.emit("echo", text, (back) => { resolve(back); socket.close(); }));
  socket.on("connect_error", () => resolve("refused"));
});
</script>"""


class Root(Namespace, path="/"):
    auth = "none"

    @event("echo")
    async def echo(self, client: Client, text: str) -> str:
        return text


@pytest.fixture
async def served() -> AsyncIterator[tuple[Server, int]]:
    """A server with a page of its own, and its port."""
    server = Server(allow_eio3=True)
    server.add_namespace(Root())
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def client(_: web.Request) -> web.Response:
        return web.Response(text=CLIENT.read_text(), content_type="text/javascript")

    app.add_routes([web.get("/", page), web.get("/v2.js", client)])
    server.attach(app)
    runner = Runner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, runner.addresses[0][1]
    server.drain.hurry()
    await runner.cleanup()


async def test_it_works_on_the_servers_own_page_and_on_no_other(served: tuple[Server, int], browser: Browser) -> None:
    server, port = served
    own, foreign = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    for page, answer in ((own, 'é</script>\n"\\'), (foreign, "refused")):
        tab = await browser.new_page()
        await tab.goto(page)
        assert await tab.evaluate("([url, text]) => echo(url, text)", [own, 'é</script>\n"\\']) == answer
        assert page == own or not server.connections
        await tab.close()
