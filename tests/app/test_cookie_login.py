"""Log-in by cookie, where HTTP/2 or a proxy has split the cookies over several lines."""

from __future__ import annotations

import pytest
from aiohttp import web

from rtserver.app.composition import SERVER, create_app, dev_token
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from tests.engine.wire import POLLING, Wire, client_frame, request, upgrade

PATH = "/socket.io/"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_token_is_found_in_any_line(tmp_path, transport):
    settings = Settings(data_dir=tmp_path, jwt_cookie="token")
    app = create_app(settings)
    runner = Runner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cookies = f"theme=dark\r\nCookie: token={dev_token(settings, 'alice', 'Alice')}; a=b\r\nCookie: last=1"
    wire = await Wire.open(runner.addresses[0][1])
    try:
        if transport == "websocket":
            await wire.send(upgrade("EIO=4&transport=websocket", path=PATH, Cookie=cookies) + client_frame("40/chat,"))
            assert (await wire.answer()).status == 101
            await wire.opened()
            reply = await wire.text()
        else:
            opened = await wire.ask(request("GET", POLLING, path=PATH, Cookie=cookies))
            query = f"{POLLING}&sid={opened.text.split(chr(34))[3]}"
            assert (await wire.ask(request("POST", query, b"40/chat,", path=PATH, Cookie=cookies))).text == "ok"
            reply = (await wire.ask(request("GET", query, path=PATH, Cookie=cookies))).text
        assert reply.startswith('40/chat,{"sid"')
        (connection,) = app[SERVER].connections.values()
        assert connection.handshake.headers["cookie"].startswith("theme=dark; token=")
    finally:
        await wire.close()
        await runner.cleanup()
