"""Fixtures for every test; tests/support has the classes behind them."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.chromium import chromium
from tests.support.js_client import JsClient
from tests.support.js_driver import JsClients
from tests.support.nginx_server import NginxServer
from tests.support.postgres import PostgresServer
from tests.support.preloaded import PreloadedInterpreter
from tests.support.process import Processes
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer, RtServers

_PROCESSES = pytest.StashKey[Processes]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with few tests first: they test whole servers, and a slow one at the end would run alone."""
    of_file = Counter(item.path for item in items)
    items.sort(key=lambda item: (of_file[item.path], item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the log of each process of a failed test to its report."""
    report = yield
    processes = item.stash.get(_PROCESSES, None)
    if report.failed and processes is not None:
        report.sections.extend(processes.report())
    return report


@pytest.fixture
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    """The processes of a test: those registered here end with it, and their logs are shown when it fails."""
    started = request.node.stash[_PROCESSES] = Processes(tmp_path)
    yield started
    started.stop_all()


@pytest.fixture
def redis_server(processes: Processes) -> RedisServer:
    """A real, empty Redis: `.url .port .stop() .start() .pause() .resume()`."""
    server = RedisServer(processes)
    server.start()
    return server


@pytest.fixture(scope="session")
def _postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(Processes(tmp_path_factory.mktemp("postgres")))
    yield server
    server.remove()


@pytest.fixture
def postgres_url(_postgres: PostgresServer) -> str:
    """The URL of a fresh, empty database on the run's one Postgres."""
    return _postgres.new_database()


@pytest.fixture
def postgres_server(processes: Processes) -> Iterator[PostgresServer]:
    """A Postgres of this test's own: `.url .stop() .start() .pause() .resume()`."""
    server = PostgresServer(processes)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("migrated") / "rtserver.db"


@pytest.fixture(scope="session")
def preloaded_interpreter() -> Iterator[PreloadedInterpreter]:
    """Forks servers; loaded at the first use."""
    loaded = PreloadedInterpreter()
    yield loaded
    loaded.close()


@pytest.fixture
def interpreter() -> PreloadedInterpreter | None:
    """What the servers of a test are forked from; None, here: each is started as a user would.

    Folders whose tests are about what a running server does override it.
    """
    return None


@pytest.fixture
def server(
    processes: Processes, _migrated: Path, interpreter: PreloadedInterpreter | None
) -> Callable[..., Awaitable[RtServer]]:
    """`await server(REDIS_URL=…)` starts a real `rtserver serve` and waits until it is ready."""
    return RtServers(processes, _migrated, interpreter).start


@pytest.fixture
async def js() -> AsyncIterator[Callable[..., Awaitable[JsClient]]]:
    """`await js(url, "/chat", token=…, transports=["websocket"])` opens an official JavaScript client."""
    clients = JsClients()
    yield clients.open
    await clients.close()


@pytest.fixture
def nginx(processes: Processes) -> Callable[[Path, Mapping[str, str]], Awaitable[NginxServer]]:
    """`await nginx(path, {"listen 8080": "listen {port}", …})` runs that configuration with these replacements."""

    async def start(path: Path, replace: Mapping[str, str]) -> NginxServer:
        started = NginxServer(processes, path, replace)
        started.start()
        return started

    return start


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium."""
    async with chromium() as running:
        yield running
