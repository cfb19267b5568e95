"""RTSERVER_PATH: another path for Socket.IO, its client bundle and the pages; and the paths that it must not have."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rtserver.app.composition import create_app
from rtserver.config import validation
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from rtserver.errors import ConfigError


async def test_official_clients_connect_under_the_path_that_is_set(tmp_path, js):
    settings = Settings(data_dir=tmp_path, path="/app/realtime")
    runner = Runner(create_app(settings), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        for transports in (["polling"], ["websocket"]):
            client = await js(url, "/chat", path="/app/realtime", transports=transports, wait=False)
            assert (await client.connect_error())["data"]["code"] == "token_missing"
    finally:
        await runner.cleanup()


async def test_pages_and_bundle_follow_the_path(tmp_path):
    settings = Settings(data_dir=tmp_path, path="/rt", cors_origins="https://page.example")
    async with TestClient(TestServer(create_app(settings))) as http:
        script = await http.get("/assets/js/server_path.js")
        assert await script.text() == 'export const PATH = "/rt";\n'
        origin = {"Origin": "https://page.example"}
        bundle = await http.get("/rt/socket.io.js", headers=origin)
        assert bundle.status == 200
        assert bundle.headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert (await http.get("/socket.io/socket.io.js")).status == 404
        for path in ("/rt", "/rt/"):
            assert (await http.get(path, params={"EIO": "4", "transport": "polling"})).status == 200
        assert (await http.get("/socket.io/", params={"EIO": "4", "transport": "polling"})).status == 404


@pytest.mark.parametrize("path", ["/api/x", "admin", "/chat/", "/healthz", "/metrics/x"])
def test_a_path_of_the_servers_own_pages_is_a_fault(tmp_path, path):
    with pytest.raises(ConfigError, match="RTSERVER_PATH must not begin with"):
        Settings(data_dir=tmp_path, path=path)


def test_the_paths_that_are_taken_are_those_of_the_application(tmp_path):
    app = create_app(Settings(data_dir=tmp_path, upload_limit=1000))
    taken = {resource.canonical.split("/")[1] for resource in app.router.resources()} - {"", "socket.io"}
    assert taken <= validation._PATHS_OF_PAGES
