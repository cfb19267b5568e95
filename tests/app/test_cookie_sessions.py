"""Sessions of visitors whom a cookie identifies (`RTSERVER_JWT_COOKIE`): no page and no machine speaks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from rtserver.app.composition import SERVER, create_app, dev_token
from rtserver.config.settings import Settings
from rtserver.engine.runner import Runner
from rtserver.engine.session.interfaces import Reason
from rtserver.sio.server import Server
from tests.engine.wire import POLLING, Answer, Wire, request, upgrade

PATH = "/socket.io/"
LISTED = "https://app.example.com"


class Visited(NamedTuple):
    """A server in this process, and tokens for it."""

    server: Server
    port: int
    token: Callable[[str], str]

    async def ask(self, raw: bytes) -> Answer:
        """Send one request on a connection of its own."""
        wire = await Wire.open(self.port)
        try:
            return await wire.ask(raw)
        finally:
            await wire.close()

    async def get(self, query: str, **headers: str) -> Answer:
        return await self.ask(request("GET", query, path=PATH, **headers))

    async def post(self, query: str, body: bytes, **headers: str) -> Answer:
        return await self.ask(request("POST", query, body, path=PATH, **headers))

    async def joined(self, user: str, cookie: str) -> str:
        """The query of a polling session that joined /chat as this user."""
        opened = await self.get(POLLING, Cookie=cookie)
        query = _query(opened)
        assert (await self.post(query, b"40/chat,", Cookie=cookie)).text == "ok"
        assert (await self.get(query, Cookie=cookie)).text.startswith('40/chat,{"sid"')
        assert {client.user for client in self.server.namespaces_by_path["/chat"].clients.values()} >= {user}
        return query


def _query(opened: Answer) -> str:
    return f"{POLLING}&sid={opened.text.split(chr(34))[3]}"


Visit = Callable[..., Awaitable[Visited]]


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    """`await visit(**settings)` serves with a cookie."""
    runners: list[Runner] = []

    async def start(**given: Any) -> Visited:
        settings = Settings(_env_file=None, data_dir=tmp_path, jwt_cookie="token", allow_eio3=True, **given)
        app = create_app(settings)
        runner = Runner(app, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return Visited(app[SERVER], runner.addresses[0][1], lambda user: dev_token(settings, user, user))

    yield start
    for runner in runners:
        for session in list(runner.app[SERVER].engine.sockets.values()):
            session.abort(Reason.TRANSPORT_CLOSE)
        await runner.cleanup()


async def test_a_sibling_page_cannot_have_a_session_opened_for_its_visitor(visit: Visit) -> None:
    visited = await visit(cors_origins=[LISTED])
    cookie = {"Cookie": f"token={visited.token('alice')}"}
    for site in ("same-site", "cross-site", "same-origin", "none"):
        for query in (f"{POLLING}&j=0", f"{POLLING}&j=0".replace("4", "3")):
            for referer in ({}, {"Referer": f"{LISTED}/"}, {"Referer": "https://evil.example.com/"}):
                answer = await visited.get(query, **{"Sec-Fetch-Site": site}, **referer, **cookie)
                assert answer.status in (400, 403)
                assert "sid" not in answer.text
    for query in (POLLING, POLLING.replace("4", "3")):
        assert (await visited.get(query, **{"Sec-Fetch-Site": "same-site"}, **cookie)).status == 403
    assert not visited.server.connections


async def test_a_machine_that_knows_the_session_id_cannot_act_as_the_visitor(visit: Visit) -> None:
    visited = await visit()
    query = await visited.joined("alice", f"token={visited.token('alice')}")
    thief = visited.token("mallory")
    event = b'42/chat,1["rooms",{}]'
    for headers in ({}, {"Cookie": f"token={thief}"}, {"Authorization": f"Bearer {thief}"}, {"Cookie": "token=x"}):
        assert (await visited.post(query, event, **headers)).json()["code"] == 1
        assert (await visited.get(query, **headers)).json()["code"] == 1
        taken = upgrade(query.replace("polling", "websocket"), path=PATH, **headers)
        assert (await visited.ask(taken)).status == 400
    assert len(visited.server.connections) == 1


async def test_a_cookie_that_was_renewed_for_the_same_user_goes_on(visit: Visit) -> None:
    visited = await visit()
    query = await visited.joined("alice", f"token={visited.token('alice')}")
    renewed = {"Cookie": f"token={visited.token('alice')}"}
    assert (await visited.post(query, b'42/chat,1["rooms",{}]', **renewed)).text == "ok"
    assert (await visited.get(query, **renewed)).text.startswith("43/chat,1")
    # Nobody has joined: then nobody is the same.
    unjoined = _query(await visited.get(POLLING, Cookie=f"token={visited.token('bob')}"))
    assert (await visited.post(unjoined, b"40/chat,", Cookie=f"token={visited.token('bob')}")).status == 400
