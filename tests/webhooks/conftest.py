"""Fixtures: a receiver of webhooks, and the databases of the tests of the store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.store.conftest import database_url, db, one_postgres, open_database, preference_store
from tests.support.preloaded import PreloadedInterpreter

__all__ = ["database_url", "db", "one_postgres", "open_database", "preference_store"]

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def interpreter(preloaded_interpreter: PreloadedInterpreter) -> PreloadedInterpreter:
    return preloaded_interpreter


class Received(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Listens on `url`; requests are in `received`. `answer` handles them, with 204 at first."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Answer = _taken
        self.url = ""
        self._came = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.received.append(Received({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        self._came.set()
        return await self.answer(request)

    def says(self, status: int, **headers: str) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers=headers)

        self.answer = answer

    async def until(self, count: int) -> list[Received]:
        async with asyncio.timeout(60):
            while len(self.received) < count:
                self._came.clear()
                await self._came.wait()
        return self.received


async def _taken(_: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    told = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told.handle)
    async with TestServer(app) as server:
        told.url = str(server.make_url("/hook"))
        yield told
