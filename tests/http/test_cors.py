"""rtserver/http/cors.py: which pages of other origins may use the API."""

import pytest
from aiohttp import web

from rtserver.http.cors import cors_headers
from tests.http.conftest import Client, Serve

APP = "https://app.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


class Endpoints:
    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/it", self._answer), web.get("/page", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True})


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(Endpoints(), cors=[APP])


def granted(headers: object) -> list[str]:
    return [name for name in dict(headers) if name.lower().startswith("access-control")]  # type: ignore[call-overload]


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


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil",
        "https://x.app.example.com", "HTTPS://APP.EXAMPLE.COM", "null", "", "https://app.example.com/",
        "https://app.example.com, https://evil.example",
    ],
)  # fmt: skip
async def test_another_origin_gets_no_headers(client: Client, origin: str) -> None:
    answer = await client.post("/api/it", headers={"Origin": origin})
    assert granted(answer.headers) == []
    preflight = await client.options("/api/it", headers={"Origin": origin, **PREFLIGHT})
    assert (preflight.status, granted(preflight.headers)) == (403, [])


async def test_errors_have_cors_headers_too(client: Client) -> None:
    answer = await client.get("/api/none", headers={"Origin": APP})
    assert answer.status == 404
    assert answer.headers["Access-Control-Allow-Origin"] == APP


async def test_other_paths_are_left_alone(client: Client) -> None:
    answer = await client.get("/page", headers={"Origin": APP})
    assert granted(answer.headers) == []
    assert (await client.options("/page", headers={"Origin": APP, **PREFLIGHT})).status == 405


async def test_responses_vary_by_origin(client: Client) -> None:
    answer = await client.post("/api/it")
    assert granted(answer.headers) == []
    assert answer.headers["Vary"] == "Origin"


def test_the_wildcard_never_carries_credentials() -> None:
    assert cors_headers("https://any.example", frozenset({"*"})) == {"Access-Control-Allow-Origin": "*"}
    listed = cors_headers(APP, frozenset({"*", APP}))
    assert listed == {"Access-Control-Allow-Origin": APP, "Access-Control-Allow-Credentials": "true"}
