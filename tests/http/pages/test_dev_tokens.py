"""rtserver/http/pages/dev_tokens.py: ready tokens, for the person at this machine only."""

import pytest
from multidict import CIMultiDict

from rtserver.http.pages.dev_tokens import DevTokens, may_have_tokens
from tests.http.conftest import Client, Serve


def issue(user: str, name: str, roles: tuple[str, ...]) -> str:
    return f"{user}|{name}|{','.join(roles)}"


KEY = "the-key-of-the-pages"
WITH_KEY = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(DevTokens(issue, KEY, "a fingerprint"))


async def test_the_demo_pages_get_tokens(client: Client) -> None:
    answer = await client.get("/dev/tokens", headers=WITH_KEY)
    body = await answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["users"][0] == {"id": "alice", "name": "Alice", "token": "alice|Alice|"}
    assert len(body["users"]) >= 2
    assert body["admin"]["token"] == "admin|Admin|admin"
    assert body["service"]["token"] == "backend|Backend|service"


async def test_a_page_of_another_site_gets_no_tokens(client: Client) -> None:
    for headers in (
        {"Host": "evil.example:8000"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Forwarded-For": "203.0.113.9"},
    ):
        assert (await client.get("/dev/tokens", headers=WITH_KEY | headers)).status == 404, headers


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}, {"Cookie": f"key={KEY}"},
        {"Authorization": f"Basic {KEY}"}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Bearer \u00e9"}, {"Authorization": "Bearer " + "x" * 5000}, {"Referer": f"/#key={KEY}"},
    ],
)  # fmt: skip
async def test_a_stranger_behind_a_bare_proxy_gets_no_tokens(client: Client, headers: dict[str, str]) -> None:
    """A `proxy_pass` without any header asks as this machine does: only the key tells them apart."""
    answer = await client.get("/dev/tokens", headers=headers)
    assert answer.status == 401
    body = await answer.json()
    assert (body["error"]["code"], body["error"]["details"]) == ("token_missing", {"secret": "a fingerprint"})
    assert "|" not in await answer.text()
    assert (await client.get(f"/dev/tokens?key={KEY}", headers=headers)).status == 401


def headers(given: dict[str, str] | None = None) -> CIMultiDict[str]:
    return CIMultiDict({"Host": "localhost:8000"} | (given or {}))


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", "::FFFF:7f00:1"])
def test_peers_on_this_machine_are_accepted(peer: str) -> None:
    assert may_have_tokens(peer, headers())


@pytest.mark.parametrize("peer", [None, "", "192.168.1.5", "::ffff:10.0.0.1", "fe80::1", "unix", "127.0.0.1x"])
def test_peers_on_other_machines_are_rejected(peer: str | None) -> None:
    assert not may_have_tokens(peer, headers())


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000"])
def test_loopback_host_names_are_accepted(host: str) -> None:
    assert may_have_tokens("127.0.0.1", headers({"Host": host}))


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "[::1", "a@evil.example", "[]"],
)
def test_other_host_names_of_this_machine_are_rejected(host: str) -> None:
    """DNS rebinding: the name of a page may resolve to 127.0.0.1, but Host still contains it."""
    assert not may_have_tokens("127.0.0.1", headers({"Host": host}))


def test_our_page_may_use_a_proxy_on_this_machine() -> None:
    for origin in ("http://localhost:8000", "HTTP://LOCALHOST:8000/", "https://localhost:8000"):
        own = headers({"Origin": origin, "Sec-Fetch-Site": "same-origin"})
        assert may_have_tokens("127.0.0.1", own)
    assert may_have_tokens("127.0.0.1", headers({"Host": "[0::1]:80", "Origin": "http://[::1]"}))
    assert may_have_tokens("127.0.0.1", headers({"X-Forwarded-Host": "localhost:5173"}))
    assert may_have_tokens("127.0.0.1", headers({"X-Forwarded-For": "127.0.0.1:5000, [::1]:5001, ::ffff:127.0.0.1"}))
    assert may_have_tokens("127.0.0.1", headers({"X-Forwarded-For": "127.0.0.1, ::1", "X-Real-IP": "127.0.0.1"}))


@pytest.mark.parametrize(
    "given",
    [
        {"Origin": "http://localhost:3000"}, {"Origin": "null"}, {"Origin": "http://[::1"}, {"Origin": ""},
        {"Origin": "http://localhost:3000", "Host": "localhost"}, {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://localhost:8000.evil.example"}, {"Origin": "http://localhost:8000@evil.example"},
        {"Origin": "http://localhost:3000", "X-Forwarded-Host": "localhost:3000"}, {"Origin": "app://localhost:8000"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}, {"X-Forwarded-For": ""}, {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"}, {"Via": "1.1 tunnel"}, {"CF-Connecting-IP": "203.0.113.9"},
        {"X-Forwarded-Host": "demo.example"}, {"X-Forwarded-Host": "localhost, demo.example"},
    ],
)  # fmt: skip
def test_forwarded_and_cross_site_requests_are_rejected(given: dict[str, str]) -> None:
    assert not may_have_tokens("127.0.0.1", headers(given))


def test_a_forged_forwarding_header_does_not_hide_that_of_the_proxy() -> None:
    lines = CIMultiDict([("Host", "localhost"), ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "203.0.113.9")])
    assert not may_have_tokens("127.0.0.1", lines)
