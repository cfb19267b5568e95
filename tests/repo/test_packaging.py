"""Packages: a wheel and an sdist, built from a fresh clone, are complete servers in an environment of their own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import import_module
from importlib.metadata import requires
from pathlib import Path

import aiohttp
import pytest

from tests.support.ports import free_port
from tests.support.process import Process, Processes
from tests.support.repository import ROOT

CLIENT = "rtserver/web/vendor/socket.io/socket.io.esm.min.js"
NOTICES = "rtserver/web/vendor/THIRD_PARTY_LICENSES.txt"
BUILT = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
    "package.json",
    "package-lock.json",
    "rtserver",
    "scripts",
)
NPM = """#!/bin/sh
# Stands in for npm, so that the test needs no network.
echo "$@" > npm-was-called
ln -s {modules} node_modules
"""
BROKEN_NPM = "#!/bin/sh\necho 'network unreachable' >&2\nexit 1\n"


def fresh_clone(folder: Path) -> Path:
    """Copy what a package is built from, without anything that is fetched or made."""
    ignored = shutil.ignore_patterns("vendor", "__pycache__", "*.pyc", "node_modules")
    folder.mkdir()
    for name in BUILT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def build(folder: Path, *targets: str, npm: str | None = None) -> subprocess.CompletedProcess[str]:
    """Build wheel or sdist as pip does, with this npm or none on the PATH."""
    tools = folder.parent / f"tools-for-{folder.name}"
    tools.mkdir()
    if npm is not None:
        (tools / "npm").write_text(npm)
        (tools / "npm").chmod(0o755)
    command = [sys.executable, "-m", "hatchling", "build", "-d", "dist", *(f"-t{target}" for target in targets)]
    env = {"PATH": f"{tools}:/bin" if npm else str(tools), "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=100)
    shutil.rmtree(tools)
    return done


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a wheel and an sdist of a fresh clone."""
    clone = fresh_clone(tmp_path_factory.mktemp("clone") / "rtserver")
    done = build(clone, "wheel", "sdist", npm=NPM.format(modules=ROOT / "node_modules"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ci --omit=dev --ignore-scripts" in (clone / "npm-was-called").read_text()
    return clone / "dist"


def wheel_of(folder: Path) -> Path:
    [wheel] = folder.glob("*.whl")
    return wheel


def test_the_wheel_of_a_fresh_clone_has_the_browser_client(packages: Path) -> None:
    with zipfile.ZipFile(wheel_of(packages)) as wheel:
        names = set(wheel.namelist())
    assert {CLIENT, NOTICES, "rtserver/web/index.html", "rtserver/py.typed"} <= names
    assert "rtserver/store/migrations/versions/0001_first_tables.py" in names
    assert not [name for name in names if name.startswith(("tests", "scripts", "node_modules"))]


def test_a_wheel_can_be_built_from_the_sdist_without_npm(packages: Path, tmp_path: Path) -> None:
    [sdist] = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if "node_modules" in name]
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    done = build(unpacked, "wheel")
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(wheel_of(unpacked / "dist")) as wheel:
        assert {CLIENT, NOTICES} <= set(wheel.namelist())


@pytest.mark.parametrize(
    ("npm", "reason"), [(None, "npm is not installed"), (BROKEN_NPM, "npm could not fetch it: network unreachable")]
)
def test_without_the_client_the_build_fails_with_a_sentence(tmp_path: Path, npm: str | None, reason: str) -> None:
    clone = fresh_clone(tmp_path / "rtserver")
    done = build(clone, "wheel", npm=npm)
    assert done.returncode != 0
    assert f"rtserver cannot be packed without the Socket.IO browser client, and {reason}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(clone.glob("dist/*"))


def test_an_editable_install_needs_no_npm(tmp_path: Path) -> None:
    """`make setup` fetches the client afterwards."""
    clone = fresh_clone(tmp_path / "rtserver")
    code = (
        "import sys; sys.path.insert(0, 'scripts'); from build_hook import BrowserClientHook as Hook; "
        "Hook('.', {}, None, None, 'dist', 'wheel').initialize(sys.argv[1], {})"
    )
    codes = [
        subprocess.run([sys.executable, "-c", code, kind], cwd=clone, env={"PATH": "/nowhere"}, check=False).returncode
        for kind in ("editable", "standard")
    ]
    assert codes == [0, 1]


async def test_a_new_environment_with_the_wheel_serves_pages_and_client(
    packages: Path, processes: Processes, tmp_path: Path
) -> None:
    """From an empty folder. The packages that rtserver needs are those of this environment, to save time."""
    environment = tmp_path / "venv"
    await asyncio.to_thread(venv.create, environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    [site] = environment.glob("lib/python*/site-packages")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    await asyncio.to_thread(subprocess.run, [*command, wheel_of(packages)], check=True)
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    folder, port = processes.new_folder("empty"), free_port()
    (folder / "shop.py").write_text('from rtserver import Namespace\nclass Shop(Namespace, path="/shop"): ...\n')
    env = {"PATH": os.environ["PATH"], "RTSERVER_PORT": str(port), "RTSERVER_NAMESPACES": "shop:Shop"}
    server = Process(
        "rtserver", [str(environment / "bin" / "rtserver"), "serve"], log=folder / "log", env=env, cwd=folder
    )
    processes.add(server)
    await asyncio.to_thread(server.start, lambda: "Stop with Ctrl+C" in server.logs())
    assert "/shop (shop:Shop)" in server.logs()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for path in ("/", "/admin/", "/readyz", "/socket.io/socket.io.js", "/socket.io/socket.io.esm.min.js.map"):
            assert (await http.get(path)).status == 200, path
    where = [python, "-c", "import rtserver; print(rtserver.__file__)"]
    imported = await asyncio.to_thread(subprocess.check_output, where, text=True, cwd=folder)
    assert Path(imported.strip()).is_relative_to(site)


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_extra_that_is_named_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "rtserver").rglob("*.py")]
    named = {name for page in pages for name in re.findall(r"rtserver\[([a-z]+)\]", page.read_text())}
    assert named == set(EXTRAS) - {"dev"}
    assert set(EXTRAS["dev"]) >= {package for extra in named for package in EXTRAS[extra]}


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"dev"}))
def test_an_extra_has_what_its_module_imports(extra: str) -> None:
    assert import_module(f"rtserver.ingest.{extra}").check_connection
    [package] = [line for line in requires("rtserver") or () if f"extra == '{extra}'" in line.replace('"', "'")]
    source = (ROOT / "rtserver" / "ingest" / f"{extra}.py").read_text()
    module = re.split(r"[<>=! ;]", package)[0].replace("-", "_")
    assert re.search(rf"^(import|from) {module}\b", source, re.MULTILINE)
