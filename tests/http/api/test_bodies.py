"""JSON bodies: compressed ones, and fields that occur twice."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, web
from msgspec import Struct

from rtserver.engine.runner import Runner
from rtserver.http.api.bodies import read_json
from rtserver.http.errors import error_boundary, json_response
from rtserver.sio.server import Server

LIMIT = 10_000
Post = Callable[..., Any]


class Anything(Struct):
    data: Any = None


@pytest.fixture(params=[True, False], ids=["inflated by aiohttp", "inflated here"])
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    """`await post(body, encoding)` returns the status, and the size of the content or the code of the error."""

    async def handle(asked: web.Request) -> web.Response:
        body = await read_json(asked, Anything, LIMIT if "small" in asked.query else 10**7)
        return json_response({"ok": True, "size": len(str(body.data))})

    app = web.Application(middlewares=[error_boundary])
    app.router.add_post("/api/body", handle)
    Server().attach(app)
    runner = Runner(app, access_log=None, auto_decompress=request.param, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/body"
    async with ClientSession() as http:

        async def send(body: Any, encoding: str | None = None, *, small: bool = True) -> tuple[int, Any]:
            headers = {"Content-Type": "application/json", **({"Content-Encoding": encoding} if encoding else {})}
            async with http.post(url + ("?small" if small else ""), data=body, headers=headers) as answer:
                told = await answer.json()
                return answer.status, told["size"] if told["ok"] else told["error"]["code"]

        yield send
    await runner.cleanup()


def body_of(size: int) -> bytes:
    return json.dumps({"data": "x" * size}).encode()


ROOM = LIMIT - len(body_of(0))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_counts_by_its_content(post: Post, encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    assert await post(pack(body_of(ROOM)), encoding) == (200, ROOM)
    assert await post(pack(body_of(ROOM + 1)), encoding) == (413, "too_large")
    assert await post(pack(body_of(50_000_000)), encoding) == (413, "too_large")
    assert await post(b"no encoding at all", encoding) == (400, "invalid_payload")


async def test_what_inflates_to_nothing_counts_as_it_is_sent(post: Post) -> None:
    async def empty_blocks() -> AsyncIterator[bytes]:
        yield gzip.compress(b"")[:10]
        for _ in range(100):
            yield b"\x00\x00\x00\xff\xff" * 1000

    assert await post(empty_blocks(), "gzip") in ((413, "too_large"), (400, "invalid_payload"))


async def test_an_unknown_encoding_is_refused(post: Post) -> None:
    for encoding in ("gzip, gzip", "compress", "x-gzip", "identity, gzip"):
        assert await post(b"x" * 100, encoding) == (415, "unsupported_media_type")


@pytest.mark.parametrize("at", [0, 50_000, 99_999])
@pytest.mark.parametrize("depth", [0, 60])
async def test_one_field_twice_among_very_many_is_found(post: Post, at: int, depth: int) -> None:
    """If each name were compared with each other one, this would take minutes."""
    names = [f"n{number}" for number in range(100_000)]
    fields = ",".join(f'"{name}":0' for name in [*names, names[at]])
    body = '{"data":' + '{"a":' * depth + "{" + fields + "}" + "}" * depth + "}"
    assert await post(body.encode(), small=False) == (400, "invalid_payload")
    assert (await post(body.replace(f',"{names[at]}":0}}', "}").encode(), small=False))[0] == 200


@pytest.mark.parametrize("body", ['{"data":1,"data":1}', '{"data":{"a":1,"b":":","a":1}}', '{"data":[{"":1,"":1}]}'])
async def test_a_repeated_field_is_refused_at_any_depth(post: Post, body: str) -> None:
    assert await post(body.encode()) == (400, "invalid_payload")
