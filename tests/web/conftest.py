"""A development server and tabs on it; a test fails when a page made the browser complain."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser

from tests.support.rtserver_process import RtServer
from tests.web.tabs import Tabs


@pytest.fixture
async def development(server: Callable[..., Awaitable[RtServer]]) -> RtServer:
    return await server(MODE="development")


@pytest.fixture
async def tabs(browser: Browser, development: RtServer) -> AsyncIterator[Tabs]:
    opened = Tabs(browser, development.url)
    yield opened
    assert opened.complaints == []
