"""Handshakes: the checks without a connection, and the cookie with the session id."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict

from rtserver.engine.handshake import accepted_revision, check_transport, cookie_header
from rtserver.engine.http.responses import BAD_METHOD, BAD_REQUEST, BAD_VERSION, STOPPING, Refusal
from tests.engine.conftest import POLLING
from tests.engine.wire import request


def asked(method: str = "GET", upgrade: str = "", **query: str) -> Any:
    return SimpleNamespace(method=method, headers=CIMultiDict({"Upgrade": upgrade}), query=query)


@pytest.mark.parametrize(
    ("request_", "transport", "code"),
    [
        (asked(method="POST"), "polling", BAD_METHOD),
        (asked(upgrade="websocket"), "polling", BAD_REQUEST),
        (asked(), "websocket", BAD_REQUEST),
    ],
)
def test_method_and_transport_must_match(request_: Any, transport: str, code: int) -> None:
    with pytest.raises(Refusal) as refusal:
        check_transport(request_, transport)
    assert refusal.value.code == code
    check_transport(asked(), "polling")
    check_transport(asked(upgrade="WebSocket"), "websocket")


def test_a_stopping_server_refuses_before_it_looks_at_the_revision() -> None:
    options: Any = SimpleNamespace(allow_eio3=False)
    with pytest.raises(Refusal) as refusal:
        accepted_revision(asked(EIO="3"), options, accepting=False)
    assert refusal.value.code == STOPPING


def test_revision_3_has_to_be_allowed() -> None:
    options: Any = SimpleNamespace(allow_eio3=False)
    assert accepted_revision(asked(EIO="4"), options, accepting=True) == 4
    with pytest.raises(Refusal) as refusal:
        accepted_revision(asked(EIO="3"), options, accepting=True)
    assert refusal.value.code == BAD_VERSION
    options.allow_eio3 = True
    assert accepted_revision(asked(EIO="3"), options, accepting=True) == 3


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
