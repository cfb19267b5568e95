"""rtserver/http/cors.py: which pages of other origins may use the API."""

from collections.abc import Mapping

import pytest
from aiohttp import web

from rtserver.errors import RateLimited, Unavailable
from tests.http.conftest import Client, Serve

APP = "https://app.example.com"
ANY = "https://any.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


class Endpoints:
    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/it", self._answer),
            web.get("/api/fault", self._fail),
            web.get("/api/busy", self._refuse_often),
            web.get("/api/down", self._refuse),
            web.get("/page", self._answer),
        ]

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"ok": True})

    async def _fail(self, request: web.Request) -> web.Response:
        raise RuntimeError

    async def _refuse_often(self, request: web.Request) -> web.Response:
        raise RateLimited(1.0)

    async def _refuse(self, request: web.Request) -> web.Response:
        raise Unavailable("down")


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(Endpoints(), cors=[APP])


def granted(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("access-control")}


async def test_a_listed_origin_may_call_with_credentials(client: Client) -> None:
    answer = await client.post("/api/it", headers={"Origin": APP})
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


async def test_a_preflight_is_answered_before_any_handler(client: Client) -> None:
    answer = await client.options("/api/it", headers={"Origin": APP, **PREFLIGHT})
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Max-Age"] == "600"


async def test_another_origin_gets_no_headers(client: Client) -> None:
    for origin in (
        "https://evil.example", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil",
        "https://x.app.example.com", "null", "", "file://", "https://evil@app.example.com", "https://app.example.com\\",
        "https://app.example.com, https://evil.example", "https://app.example.com/x", "http://localhost:5173",
    ):  # fmt: skip
        answer = await client.post("/api/it", headers={"Origin": origin})
        assert granted(answer.headers) == {}, origin
        preflight = await client.options("/api/it", headers={"Origin": origin, **PREFLIGHT})
        assert (preflight.status, granted(preflight.headers)) == (403, {}), origin


async def test_a_listed_origin_counts_in_any_form(client: Client) -> None:
    for origin in ("HTTPS://APP.EXAMPLE.COM", f"{APP}/", f"{APP}:443", "wss://app.example.com"):
        answer = await client.post("/api/it", headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert (await client.options("/api/it", headers={"Origin": origin, **PREFLIGHT})).status == 204


async def test_pages_of_the_own_host_may_call(serve: Serve, client: Client) -> None:
    """Behind a proxy that a browser sees under another scheme and host than this server does: one that is trusted."""
    proxied = {"Origin": "https://rt.example.com", "X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "rt.example.com"}
    behind_proxy = await serve(Endpoints(), cors=[APP], proxies=["127.0.0.1"])
    answer = await behind_proxy.post("/api/it", headers=proxied)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://rt.example.com"
    assert granted((await client.post("/api/it", headers=proxied)).headers) == {}
    assert granted((await client.post("/api/it", headers={"Origin": "https://rt.example.com"})).headers) == {}


async def test_every_refusal_can_be_read_by_a_listed_page(client: Client) -> None:
    body = b"x" * (1024**2 + 1)
    for method, path, data, status in (
        ("GET", "/api/none", None, 404), ("GET", "/api/it", None, 405), ("POST", "/api/it", body, 413),
        ("GET", "/api/busy", None, 429), ("GET", "/api/fault", None, 500), ("GET", "/api/down", None, 503),
        ("GET", "/socketio/", None, 404),
    ):  # fmt: skip
        answer = await client.request(method, path, data=data, headers={"Origin": APP})
        assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (status, APP), path
        assert answer.headers["Vary"] == "Origin"
        answer = await client.request(method, path, data=data, headers={"Origin": ANY})
        assert (answer.status, granted(answer.headers)) == (status, {}), path


async def test_other_paths_are_left_alone(client: Client) -> None:
    answer = await client.get("/page", headers={"Origin": APP})
    assert granted(answer.headers) == {}
    assert (await client.options("/page", headers={"Origin": APP, **PREFLIGHT})).status == 405


async def test_responses_vary_by_origin(client: Client) -> None:
    answer = await client.post("/api/it")
    assert granted(answer.headers) == {}
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("configured", [["*"], ["*", APP]])
async def test_the_wildcard_never_carries_credentials(serve: Serve, configured: list[str]) -> None:
    client = await serve(Endpoints(), cors=configured)
    assert granted((await client.post("/api/it", headers={"Origin": ANY})).headers) == {
        "access-control-allow-origin": "*"
    }
    preflight = await client.options("/api/it", headers={"Origin": ANY, **PREFLIGHT})
    assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    named = granted((await client.post("/api/it", headers={"Origin": APP})).headers)
    assert named.get("access-control-allow-credentials") == ("true" if APP in configured else None)


async def test_only_listed_pages_may_reach_a_private_network(serve: Serve) -> None:
    client = await serve(Endpoints(), cors=["*", APP])
    asked = {**PREFLIGHT, "Access-Control-Request-Private-Network": "true"}
    for origin, allowed in ((APP, "true"), (ANY, None)):
        answer = await client.options("/api/it", headers={"Origin": origin, **asked})
        assert answer.headers.get("Access-Control-Allow-Private-Network") == allowed
        answer = await client.options("/api/it", headers={"Origin": origin, **PREFLIGHT})
        assert "Access-Control-Allow-Private-Network" not in answer.headers
