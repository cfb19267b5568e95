"""rtserver/http/errors.py: responses to failed requests."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientPayloadError, web

from rtserver.errors import EventError, Forbidden, NotFound, RateLimited, Refused, TimedOut, TooLarge, Unavailable
from tests.http.conftest import Serve


class Failing:
    """Raises the given error at `/api/it` and at `/page`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/it", self._fail), web.get("/page", self._fail)]

    async def _fail(self, request: web.Request) -> web.Response:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound(), 404, "not_found"),
        (Forbidden(), 403, "forbidden"),
        (TooLarge(), 413, "too_large"),
        (TimedOut(), 504, "timeout"),
        (EventError("No", code="seat_taken"), 400, "seat_taken"),
        (Refused("Auth failed", code="token_expired"), 401, "token_expired"),
        (Refused("Unauthorized", code="forbidden"), 403, "forbidden"),
        (Refused("Go away"), 403, "refused"),
    ],
)
async def test_an_event_error_is_returned_with_its_code(serve: Serve, error: Exception, status: int, code: str) -> None:
    client = await serve(Failing(error))
    for path in ("/api/it", "/page"):
        answer = await client.get(path)
        body = await answer.json()
        assert (answer.status, body["ok"], body["error"]["code"]) == (status, False, code)


async def test_details_and_retry_after_are_returned(serve: Serve) -> None:
    client = await serve(Failing(RateLimited(2.2)))
    answer = await client.get("/api/it")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
    assert (await answer.json())["error"]["retryAfter"] == 2.2

    client = await serve(Failing(Unavailable()))
    answer = await client.get("/api/it")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0

    client = await serve(Failing(EventError("No", code="seat_taken", details={"seat": 4})))
    assert (await (await client.get("/api/it")).json())["error"]["details"] == {"seat": 4}


async def test_a_rejected_token_has_a_www_authenticate_header(serve: Serve) -> None:
    client = await serve(Failing(Refused("Auth failed", code="token_invalid", hint="rotated")))
    answer = await client.get("/api/it")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (await answer.json())["error"]["details"] == {"hint": "rotated"}


@pytest.mark.parametrize("path", ["/api/it", "/page"])
async def test_an_unexpected_exception_reveals_nothing(serve: Serve, path: str) -> None:
    client = await serve(Failing(ZeroDivisionError("secret detail")))
    answer = await client.get(path)
    text = await answer.text()
    assert answer.status == 500
    assert '"code":"internal"' in text
    assert "secret" not in text
    assert "Traceback" not in text


async def test_an_unknown_api_path_is_json_and_a_page_is_not(serve: Serve) -> None:
    client = await serve(Failing(NotFound()))
    answer = await client.get("/api/none")
    assert answer.status == 404
    assert await answer.json() == {"ok": False, "error": {"code": "not_found", "message": "Not Found"}}
    assert (await client.get("/none")).content_type == "text/plain"


async def test_a_wrong_method_gets_an_allow_header(serve: Serve) -> None:
    client = await serve(Failing(NotFound()))
    answer = await client.post("/api/it")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
    assert (await answer.json())["error"]["code"] == "method_not_allowed"


async def test_a_redirect_is_unchanged(serve: Serve) -> None:
    client = await serve(Failing(web.HTTPFound("/page2")))
    assert (await client.get("/api/it", allow_redirects=False)).status == 302


async def test_a_response_that_fails_half_way_closes_the_connection(serve: Serve) -> None:
    class HalfWay:
        def routes(self) -> list[web.RouteDef]:
            return [web.get("/half", self._half)]

        async def _half(self, request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"first")
            raise ZeroDivisionError

    client = await serve(HalfWay())
    answer = await client.get("/half")
    with pytest.raises(ClientPayloadError):
        await answer.read()


def test_the_boundary_is_a_new_style_middleware() -> None:
    """aiohttp would call an old-style middleware as a factory, with the application."""
    from rtserver.http.errors import error_boundary

    boundary: Callable[..., Awaitable[web.StreamResponse]] = error_boundary
    assert getattr(boundary, "__middleware_version__", None) == 1
