"""Lazy packages: what is asked for is loaded, and code of others sees the whole package."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from rtserver.lazy_package import lazy_package, without

INIT = """
from .heavy import Heavy, LOADED
from .light import Light
LOADED.append("init")
__all__ = ["Heavy", "Light"]
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """`make("name")`: a package with `Light`, `Heavy` and an `__init__` that loads both."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def package(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(INIT)
        (folder / "heavy.py").write_text("LOADED = []\nclass Heavy: pass\n")
        (folder / "light.py").write_text("from . import other\nclass Light: pass\n")
        (folder / "other.py").write_text("")
        return folder

    return package


def loaded(name: str) -> set[str]:
    return {module.partition(".")[2] for module in sys.modules if module.startswith(name + ".")}


def imported(name: str) -> ModuleType:
    return __import__(name)


def test_a_name_loads_its_own_module_alone(make: Callable[[str], Path]) -> None:
    make("lazy_a")
    lazy_package("lazy_a", {"Light": "light"})
    package = imported("lazy_a")
    assert loaded("lazy_a") == set()
    assert package.Light.__module__ == "lazy_a.light"
    assert loaded("lazy_a") == {"light", "other"}


def test_another_name_runs_the_init_once(make: Callable[[str], Path]) -> None:
    make("lazy_b")
    lazy_package("lazy_b", {"Light": "light"})
    package = imported("lazy_b")
    light = package.Light
    assert package.Heavy.__module__ == "lazy_b.heavy"
    assert package.LOADED == ["init"]
    assert package.Light is light
    assert package.__all__ == ["Heavy", "Light"]
    with pytest.raises(AttributeError, match="lazy_b"):
        _ = package.Nothing
    assert type(package) is ModuleType


def test_a_submodule_runs_no_init(make: Callable[[str], Path]) -> None:
    make("lazy_c")
    lazy_package("lazy_c", {})
    assert imported("lazy_c").light.Light
    assert loaded("lazy_c") == {"light", "other"}


def test_several_threads_see_the_whole_package(make: Callable[[str], Path]) -> None:
    folder = make("lazy_d")
    (folder / "__init__.py").write_text("import time\ntime.sleep(0.2)\n" + INIT)
    lazy_package("lazy_d", {"Light": "light"})
    package, seen = imported("lazy_d"), []
    threads = [threading.Thread(target=lambda: seen.append(package.Heavy)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [package.Heavy] * 8
    assert package.LOADED == ["init"]


def test_a_package_that_is_imported_stays_as_it_is(make: Callable[[str], Path]) -> None:
    make("lazy_e")
    package = imported("lazy_e")
    lazy_package("lazy_e", {})
    assert sys.modules["lazy_e"] is package
    assert type(package) is ModuleType
    lazy_package("no_such_package", {})
    assert "no_such_package" not in sys.modules


def test_a_package_can_be_left_out_for_a_while(make: Callable[[str], Path]) -> None:
    make("lazy_f")
    with without("lazy_f"), pytest.raises(ImportError):
        imported("lazy_f")
    assert imported("lazy_f").Heavy
    with without("lazy_f"):
        assert imported("lazy_f").Heavy, "it is loaded by now"


def test_the_libraries_of_a_server_are_whole_for_the_code_of_its_users() -> None:
    """In a fresh interpreter; the tests have loaded them all."""
    code = """
        import sys
        import rtserver, rtserver.sio.server, rtserver.store.db.database, rtserver.telemetry.metrics
        heavy = {"socketio.client", "engineio.client", "aiohttp.client", "aiohttp.connector", "sqlalchemy.orm",
                 "prometheus_client.exposition", "redis"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        import aiohttp, engineio, prometheus_client, socketio
        from sqlalchemy.ext.asyncio import AsyncConnection, async_sessionmaker
        from sqlalchemy.ext.asyncio.engine import AsyncConnection as same
        assert AsyncConnection is same and async_sessionmaker
        from rtserver.sio.server import Server
        assert issubclass(Server, socketio.AsyncServer)
        assert socketio.AsyncServer is socketio.async_server.AsyncServer
        assert socketio.AsyncClient and socketio.AsyncRedisManager and engineio.AsyncClient and engineio.async_server
        assert aiohttp.ClientSession and aiohttp.web.Application and aiohttp.__version__[0].isdigit()
        assert prometheus_client.Counter and prometheus_client.REGISTRY and prometheus_client.make_asgi_app
        namespace = {}
        exec("from socketio import *", namespace)
        assert namespace["AsyncServer"] is socketio.AsyncServer
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
