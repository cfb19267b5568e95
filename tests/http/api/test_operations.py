"""The operation table: route, input checks and OpenAPI document of each operation."""

from typing import Annotated, Any

import pytest
from aiohttp import web
from msgspec import Meta, Struct

from rtserver.errors import Conflict
from rtserver.http.api.credentials import Caller, Credentials
from rtserver.http.api.openapi import document
from rtserver.http.api.operations import endpoints, operation
from rtserver.http.api.router import ApiRouter
from rtserver.http.api.structs import OkResponse, RoomPath
from rtserver.rate_limit import Rate
from tests.http.conftest import Client, Serve
from tests.http.endpoints.test_publish import AUTH, KEY, Tokens


class Wanted(Struct, forbid_unknown_fields=True, rename="camel"):
    limit: Annotated[int, Meta(ge=1, le=10)] = 5
    only_new: bool = False
    user: list[str] | None = None
    before: int | None = None


class Colour(Struct, forbid_unknown_fields=True):
    colour: str


class Painted(OkResponse, kw_only=True):
    room: str
    asked: Any = None


class Rooms:
    @operation("GET", "/api/rooms/{room}/paint", summary="Look", tag="rooms")
    async def look(self, path: RoomPath, query: Wanted) -> Painted:
        """Look at it closely."""
        return Painted(room=path.room, asked=query)

    @operation("PUT", "/api/rooms/{room}/paint", summary="Paint", tag="rooms", errors=[Conflict], status=201)
    async def paint(self, path: RoomPath, body: Colour) -> Painted:
        if body.colour == "black":
            raise Conflict("It is black already")
        return Painted(room=path.room, asked=body.colour)

    @operation("GET", "/api/me", summary="Who am I", tag="users", access="user")
    async def me(self, caller: Caller) -> Painted:
        return Painted(room=caller.name, asked=caller.backend)

    @operation("POST", "/api/pictures", summary="Hang", tag="rooms", access="public", takes="image/png")
    async def hang(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="image/png")


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(ApiRouter(Rooms(), credentials=Credentials([KEY], Tokens())))


async def ask(client: Client, path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
    answer = await client.request(method, path, headers=AUTH, **options)
    body = await answer.json()
    return answer.status, body if body["ok"] else body["error"]["code"]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", {"limit": 5, "onlyNew": False, "user": None, "before": None}),
        ("?limit=10&onlyNew=true&before=-7", {"limit": 10, "onlyNew": True, "user": None, "before": -7}),
        ("?limit=7.0&before=-2.00", {"limit": 7, "onlyNew": False, "user": None, "before": -2}),
        ("?user=a&user=null&user=", {"limit": 5, "onlyNew": False, "user": ["a", "null", ""], "before": None}),
    ],
)
async def test_query_parameters_are_converted_to_their_types(client: Client, query: str, asked: dict[str, Any]) -> None:
    assert await ask(client, f"/api/rooms/a/paint{query}") == (200, {"ok": True, "room": "a", "asked": asked})


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=11", "limit=1.5", "limit=11.0", "limit=1.", "limit=.0", "limit=1e1",
        "limit=", "limit=null", "limit=+5", "limit=%35 ", "limit=1_0", "limit=٣",
        "limit=9999999999999999999999", "limit=5&limit=6", "onlyNew=1", "onlyNew=True", "only_new=true", "x=1", "=1",
    ],
)  # fmt: skip
async def test_an_invalid_query_is_rejected(client: Client, query: str) -> None:
    assert await ask(client, f"/api/rooms/a/paint?{query}") == (400, "invalid_payload")


@pytest.mark.parametrize("room", ["a/b", "a b", "ä", "{x}", "100%", "dm:a:b", "#1", "?", "a\nb"])
async def test_every_room_name_works_in_a_path(client: Client, room: str) -> None:
    from urllib.parse import quote

    from yarl import URL

    url = URL(f"/api/rooms/{quote(room, safe='')}/paint", encoded=True)
    answer = await client.put(url, headers=AUTH, json={"colour": "red"})
    assert (answer.status, await answer.json()) == (201, {"ok": True, "room": room, "asked": "red"})


async def test_errors_of_handlers_and_paths_have_one_shape(client: Client) -> None:
    assert await ask(client, "/api/rooms/a/paint", "PUT", json={"colour": "black"}) == (409, "conflict")
    assert await ask(client, "/api/rooms/%00/paint") == (400, "invalid_payload")
    assert await ask(client, f"/api/rooms/{'x' * 1001}/paint") == (400, "invalid_payload")
    assert await ask(client, "/api/rooms/a/paint", "DELETE") == (405, "method_not_allowed")
    assert await ask(client, "/api/rooms//paint") == (404, "not_found")


async def test_a_users_token_is_accepted_where_declared(client: Client) -> None:
    told = {}
    for name, bearer in {"key": KEY, "service": "a.shop.jwt", "user": "an.admin.jwt"}.items():
        answer = await client.get("/api/me", headers={"Authorization": f"Bearer {bearer}"})
        told[name] = ((body := await answer.json())["room"], body["asked"])
    assert told == {"key": ("api key", True), "service": ("shop", True), "user": ("root", False)}
    answer = await client.get("/api/rooms/a/paint", headers={"Authorization": "Bearer an.admin.jwt"})
    assert answer.status == 403
    assert (await client.get("/api/me")).status == 401


async def test_the_key_and_a_service_do_not_share_a_limit(serve: Serve) -> None:
    """Whatever the service is called: the calls of the key are counted under a name that no user can have."""
    api = ApiRouter(Rooms(), credentials=Credentials([KEY], Tokens()), rate=Rate(1, 60.0))
    client = await serve(api)
    assert Caller(None).id == ""
    for bearer in (KEY, "a.shop.jwt"):
        headers = {"Authorization": f"Bearer {bearer}"}
        answers = [await client.get("/api/me", headers=headers) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]


async def test_raw_bodies_reach_the_handler(client: Client) -> None:
    answer = await client.post("/api/pictures", data=b"\x00\xff")
    assert (answer.status, await answer.read()) == (200, b"\x00\xff")


async def test_too_many_requests_are_rejected_with_retry_after(serve: Serve) -> None:
    api = ApiRouter(Rooms(), credentials=Credentials([KEY], Tokens()), rate=Rate(1, 60.0), user_rate=Rate(1, 60.0))
    client = await serve(api)
    for bearer in (KEY, "an.admin.jwt"):  # each has a bucket of its own
        headers = {"Authorization": f"Bearer {bearer}"}
        answers = [await client.get("/api/me", headers=headers) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert (await answers[-1].json())["error"]["code"] == "rate_limited"


def test_a_duplicate_operation_is_an_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        endpoints([Rooms(), Rooms()])


def test_the_document_describes_every_operation() -> None:
    told = document([endpoint.operation for endpoint in endpoints([Rooms()])], "1.2")
    look, paint = (told["paths"]["/api/rooms/{room}/paint"][method] for method in ("get", "put"))
    assert look["description"] == "Look at it closely."
    limit = next(one for one in look["parameters"] if one["name"] == "limit")
    assert (limit["in"], limit["required"]) == ("query", False)
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 5}
    assert look["parameters"][0]["required"] is True
    assert set(paint["responses"]) == {
        "201", "400", "401", "403", "404", "408", "409", "413", "415", "429", "500", "503",
    }  # fmt: skip
    assert told["paths"]["/api/me"]["get"]["security"] == [{"backend": []}, {"user": []}]
    assert told["paths"]["/api/pictures"]["post"]["requestBody"]["content"] == {"image/png": {"schema": {}}}


HIDDEN = [
    ("GET", "/api/openapi.json"), ("HEAD", "/api/openapi.json"), ("POST", "/api/openapi.json"),
    ("GET", "/api/rooms/a/paint"), ("PUT", "/api/rooms/a/paint"), ("DELETE", "/api/rooms/a/paint"),
    ("OPTIONS", "/api/rooms/a/paint"), ("GET", "/api/nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), HIDDEN)
async def test_an_api_that_is_off_shows_nothing_of_itself(serve: Serve, method: str, path: str) -> None:
    client = await serve(ApiRouter(Rooms(), credentials=Credentials([], Tokens())))
    for bearer in (None, "an.admin.jwt", "nonsense", KEY):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = await client.request(method, path, headers=headers)
        assert answer.status == 404, bearer
        assert "Allow" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/api/openapi.json", 200, None), ("POST", "/api/openapi.json", 405, "GET"),
        ("DELETE", "/api/rooms/a/paint", 405, "GET,PUT"), ("GET", "/api/rooms/a/paint", 200, None),
    ],
)  # fmt: skip
async def test_services_use_an_api_that_is_off_for_others(
    serve: Serve, method: str, path: str, status: int, allowed: str | None
) -> None:
    client = await serve(ApiRouter(Rooms(), credentials=Credentials([], Tokens())))
    answer = await client.request(method, path, headers={"Authorization": "Bearer a.shop.jwt"})
    assert (answer.status, answer.headers.get("Allow")) == (status, allowed)


async def test_the_document_needs_no_key_while_the_api_is_on(client: Client) -> None:
    assert (await client.get("/api/openapi.json")).status == 200
    assert (await client.delete("/api/rooms/a/paint")).status == 405
