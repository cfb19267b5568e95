"""A development server and tabs on it; a test fails when a page made the browser complain."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser

from tests.e2e.web.tabs import Tabs
from tests.support.rtserver_process import RtServer


@pytest.fixture
async def development(server: Callable[..., Awaitable[RtServer]]) -> RtServer:
    return await server(MODE="development")


@pytest.fixture
async def tabs(browser: Browser, development: RtServer) -> AsyncIterator[Tabs]:
    opened = Tabs(browser, development.url)
    yield opened
    assert opened.complaints == []
