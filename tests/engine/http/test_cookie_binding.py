"""rtserver/engine/http/cookie_binding.py: who has the id of a session that a cookie opened needs the cookie too."""

from __future__ import annotations

import pytest

from rtserver.engine.http.cookie_binding import CookieBinding
from tests.engine.conftest import POLLING
from tests.engine.wire import request, upgrade

COOKIE = {"Cookie": "theme=dark; token=secret"}
OTHERS = [
    {}, {"Cookie": ""}, {"Cookie": "token="}, {"Cookie": "token=other"}, {"Cookie": "theme=dark; Token=secret"},
    {"Cookie": "token=secre"}, {"Cookie": "token=secrets"}, {"Cookie": "xtoken=secret"},
    {"Cookie": "token=other; token=secret"},
]  # fmt: skip


@pytest.fixture
async def served(serve):
    return await serve(identity_cookie="token", allow_eio3=True)


@pytest.mark.parametrize("others", OTHERS)
def test_the_id_is_bound_to_the_cookie(others: dict[str, str]) -> None:
    binding = CookieBinding("token")
    bound = binding.bound("a-sid", COOKIE["Cookie"])
    assert binding.admits(bound, COOKIE["Cookie"])
    assert binding.admits(bound, 'token="secret"')
    assert not binding.admits(bound, others.get("Cookie", ""))
    assert not CookieBinding("token").admits(bound, COOKIE["Cookie"])


def test_a_session_without_the_cookie_is_not_bound() -> None:
    binding = CookieBinding("token")
    for cookies in ("", "token=", "other=secret"):
        assert binding.bound("a-sid", cookies) == "a-sid"
    assert binding.admits("a-sid", COOKIE["Cookie"])


@pytest.mark.parametrize("sid", ["~", "a~", "~a", "a~b", "\u00e9~\udc80", "~" * 1000])
def test_a_made_up_binding_admits_nobody(sid: str) -> None:
    for cookies in ("", COOKIE["Cookie"], "token=\udcff"):
        assert not CookieBinding("token").admits(sid, cookies)


def test_the_id_does_not_show_the_cookie() -> None:
    first, second = (CookieBinding("token").bound("a-sid", COOKIE["Cookie"]) for _ in range(2))
    assert first != second
    assert "secret" not in first


@pytest.mark.parametrize("revision", ["4", "3"])
@pytest.mark.parametrize("others", OTHERS)
async def test_each_request_of_the_session_needs_the_cookie(served, revision, others):
    opening = POLLING.replace("4", revision)
    query, recorder = await served.poll_session(opening, **COOKIE)
    packet = b"4a" if revision == "4" else b"2:4a"
    attempts = [
        request("GET", query, **others),
        request("POST", query, packet, **others),
        upgrade(query.replace("polling", "websocket"), **others),
        request("GET", query.partition("~")[0], **COOKIE),
    ]
    for raw in attempts:
        answer = await served.ask(raw)
        assert (answer.status, "Session ID unknown" in answer.text) == (400, True), raw
    assert (recorder.messages, recorder.session.closed) == ([], False)
    assert (await served.ask(request("POST", query, packet, **COOKIE))).text == "ok"
    assert recorder.messages == ["a"]
    wire = await served.wire()
    assert (await wire.upgrade(query.replace("polling", "websocket"), **COOKIE)).status == 101


async def test_a_connection_that_the_session_used_is_checked_too(served):
    """Through a proxy, requests of several visitors come over one connection."""
    query, recorder = await served.poll_session(**COOKIE)
    wire = await served.wire()
    for _ in range(2):
        assert (await wire.ask(request("POST", query, b"4a", **COOKIE))).text == "ok"
        for others in OTHERS:
            assert (await wire.ask(request("POST", query, b"4b", **others))).status == 400
    assert recorder.messages == ["a", "a"]


async def test_cookies_in_several_lines_are_one_list(served):
    query, recorder = await served.poll_session(**COOKIE)
    wire = await served.wire()
    for _ in range(2):
        raw = request("POST", query, b"4a", Cookie="theme=dark\r\nCookie: token=secret")
        assert (await wire.ask(raw)).text == "ok"
    assert recorder.messages == ["a", "a"]


async def test_a_session_that_ended_is_bound_too(served):
    """Its last packets wait for one more poll."""
    query, recorder = await served.poll_session(**COOKIE)
    recorder.send("last words")
    await served.engine.disconnect(recorder.session.id)
    assert (await served.ask(request("GET", query))).status == 400
    assert (await served.ask(request("GET", query, **COOKIE))).text == "4last words"
    assert (await served.ask(request("GET", query, **COOKIE))).text == "1"


async def test_a_renewed_cookie_of_the_same_user_is_admitted(served):
    query, recorder = await served.poll_session(**COOKIE)
    wire = await served.wire()
    served.listener.same_user = True
    for _ in range(2):
        assert (await wire.ask(request("POST", query, b"4a", Cookie="token=renewed"))).text == "ok"
        assert (await wire.ask(request("POST", query, b"4b", **COOKIE))).text == "ok"
    served.listener.same_user = False
    assert (await wire.ask(request("POST", query, b"4c", Cookie="token=renewed"))).status == 400
    assert recorder.messages == ["a", "b", "a", "b"]


async def test_without_the_setting_nothing_is_bound(serve):
    served = await serve()
    query, recorder = await served.poll_session(**COOKIE)
    assert "~" not in query
    assert (await served.ask(request("POST", query, b"4a"))).text == "ok"
    assert recorder.messages == ["a"]


async def test_a_websocket_opened_with_the_cookie_needs_no_later_request(served):
    wire = await served.wire()
    assert (await wire.upgrade("EIO=4&transport=websocket", **COOKIE)).status == 101
    assert "~" in await wire.opened()
