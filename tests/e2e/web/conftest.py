"""Fixtures: a development server and browser tabs on it. A test fails when a page causes a browser error."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from rtserver.config.dev_secret import page_key
from tests.e2e.web.tabs import Tabs
from tests.support.chromium import chromium
from tests.support.js_client import JsClient
from tests.support.js_driver import JsClients
from tests.support.preloaded import PreloadedInterpreter
from tests.support.rtserver_process import RtServer

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in one event loop, as the browser that they share belongs to it."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _chromium() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def browser(_chromium: Browser) -> AsyncIterator[Browser]:
    """Headless Chromium, started once; what a test opens is closed after it."""
    yield _chromium
    for context in _chromium.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def js() -> AsyncIterator[Callable[..., Awaitable[JsClient]]]:
    """Official JavaScript clients, as in every folder."""
    clients = JsClients()
    yield clients.open
    await clients.close()


@pytest.fixture
def interpreter(preloaded_interpreter: PreloadedInterpreter) -> PreloadedInterpreter:
    return preloaded_interpreter


@pytest_asyncio.fixture(loop_scope="session")
async def development(server: Callable[..., Awaitable[RtServer]]) -> RtServer:
    return await server(MODE="development")


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(browser: Browser, development: RtServer) -> AsyncIterator[Tabs]:
    opened = Tabs(browser, development.url, page_key(development.secret))
    yield opened
    assert opened.errors == []
