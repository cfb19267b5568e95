"""The cookie with the session id, which the handshake sets."""

from __future__ import annotations

import pytest

from rtserver.engine.handshake import cookie_header
from tests.engine.conftest import POLLING
from tests.engine.wire import request


def test_a_cookie_name_alone_gets_safe_attributes():
    assert cookie_header("io", "abc") == "io=abc; path=/; SameSite=Lax; HttpOnly"


def test_cookie_attributes_are_texts_flags_or_functions():
    cookie = {"name": "sid", "path": "/x", "Secure": True, "HttpOnly": False, "Max-Age": lambda: 60, "Domain": None}
    assert cookie_header(cookie, "abc") == "sid=abc; path=/x; Secure; Max-Age=60"


@pytest.mark.parametrize("query", [POLLING, "EIO=4&transport=websocket"])
async def test_the_cookie_is_set_by_the_handshake_over_either_transport(serve, query):
    served = await serve(cookie="io")
    wire = await served.wire()
    answer = await (wire.upgrade(query) if "websocket" in query else wire.ask(request("GET", query)))
    assert answer.headers["set-cookie"].startswith(f"io={served.listener.last.session.id}; ")


async def test_no_other_request_sets_the_cookie(serve):
    served = await serve(cookie="io", echo=True)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    for asked in (request("POST", query, b"4a"), request("GET", query), request("GET", f"{query}x")):
        assert "set-cookie" not in (await wire.ask(asked)).headers
    answer = await (await served.wire()).upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    assert "set-cookie" not in answer.headers


async def test_without_the_option_there_is_no_cookie(serve):
    served = await serve()
    assert "set-cookie" not in (await served.ask(request("GET", POLLING))).headers
