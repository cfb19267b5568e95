"""Fixtures: a development server and browser tabs on it. A test fails when a page causes a browser error."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser

from rtserver.config.dev_secret import page_key
from tests.e2e.web.tabs import Tabs
from tests.support.preloaded import PreloadedInterpreter
from tests.support.rtserver_process import RtServer


@pytest.fixture
def interpreter(preloaded_interpreter: PreloadedInterpreter) -> PreloadedInterpreter:
    return preloaded_interpreter


@pytest.fixture
async def development(server: Callable[..., Awaitable[RtServer]]) -> RtServer:
    return await server(MODE="development")


@pytest.fixture
async def tabs(browser: Browser, development: RtServer) -> AsyncIterator[Tabs]:
    opened = Tabs(browser, development.url, page_key(development.secret))
    yield opened
    assert opened.errors == []
