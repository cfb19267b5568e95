"""Deployment files name existing settings, paths and ports, agree with each other, and are valid.

No container is built: what the files say is checked against the checkout. `make test` installs the programs that judge
them; only systemd's is missing where the system has no package of it.
"""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from rtserver.config.settings import Settings
from rtserver.config.sources import variable
from rtserver.process import serve
from tests.support.ports import free_port
from tests.support.proxies import haproxy_file, program
from tests.support.repository import ROOT

UNITS = sorted((ROOT / "deploy").iterdir())
PROXIES = [ROOT / path for path in ("nginx/nginx.conf", "nginx/site.conf", "haproxy/haproxy.cfg", "caddy/Caddyfile")]
FILES = [
    *UNITS, *PROXIES, *(ROOT / name for name in ("Containerfile", "compose.yaml", "Procfile", "nginx/instance.sh")),
    ROOT / "docs" / "deploy.md",
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_named_setting_exists(path: Path) -> None:
    settings = {variable(name) for name in Settings.rules()}
    named = set(re.findall(r"RTSERVER_[A-Z_]*[A-Z]\b(?!_)", path.read_text()))
    assert named <= settings | {"RTSERVER_MAX"}, named - settings


@pytest.mark.parametrize("path", PROXIES, ids=lambda path: path.name)
def test_a_proxy_closes_idle_connections_before_rtserver_does(path: Path) -> None:
    """Otherwise a request meets a connection that is being closed, and a POST is not repeated."""
    limits = re.findall(r"^\s*(?:keepalive_timeout|timeout http-keep-alive|keepalive) (\d+)s", path.read_text(), re.M)
    limits += re.findall(r"pool-purge-delay (\d+)s", path.read_text())
    assert limits
    assert all(int(limit) + 10 <= serve.IDLE_SECONDS for limit in limits)


@pytest.mark.parametrize("path", PROXIES, ids=lambda path: path.name)
def test_a_proxy_waits_longer_than_a_poll_may_take(path: Path) -> None:
    settings = Settings(_env_file=None)
    patterns = r"(?:proxy_read_timeout|timeout server|timeout tunnel|response_header_timeout) (\d+)s"
    waits = re.findall(patterns, path.read_text())
    assert waits
    assert all(int(wait) > settings.ping_interval + settings.ping_timeout for wait in waits)


def test_a_reload_of_the_unit_sends_the_signal_that_replaces_workers() -> None:
    lines = (ROOT / "deploy" / "rtserver@.service").read_text().splitlines()
    assert "ExecReload=/bin/kill -HUP $MAINPID" in lines


def test_the_container_is_built_from_existing_files() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert copied
    admitted = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in admitted, name


def test_the_container_runs_unprivileged_and_holds_no_secret() -> None:
    last = (ROOT / "Containerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert not re.search(r"SECRET|API_KEY|PASSWORD|_URL", last)


def test_compose_mounts_existing_files_and_holds_no_secrets() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in re.findall(r'"\./([^:"]+):', text):
        assert (ROOT / name).exists(), name
    for line in re.findall(r"^.*(?:SECRET|PASSWORD|API_KEY):.*$", text, re.MULTILINE):
        assert "${" in line, line


def test_the_demo_listens_on_this_machine_only() -> None:
    """Everyone who reaches a development server gets ready-made tokens."""
    text = (ROOT / "nginx" / "nginx.conf").read_text()
    assert re.findall(r"^ *listen (.*);", text, re.MULTILINE) == ["127.0.0.1:8000"]
    pages = (*(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md"), ROOT / "README.md")
    for path in pages:
        for line in re.findall(r".*python3 -m http\.server.*", path.read_text()):
            assert "--bind 127.0.0.1" in line, path.name


def test_in_the_container_nginx_listens_for_the_host_and_finds_the_instances() -> None:
    script = (ROOT / "compose.yaml").read_text().partition(">-\n")[2].partition("volumes:")[0]
    edit = re.search(r"sed (.*?) /nginx\.conf", script, re.DOTALL)
    assert edit
    command = f"sed {' '.join(edit[1].split())} {ROOT / 'nginx' / 'nginx.conf'}"
    text = subprocess.check_output(["sh", "-c", command], text=True)
    assert re.findall(r"^ *listen (.*);", text, re.MULTILINE) == ["8000"]
    assert set(re.findall(r"server ([0-9.:]+)", text)) == {"10.89.77.11:8000", "10.89.77.12:8000"}


def test_redis_persists_the_durable_inbox() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert '--appendonly, "yes"' in text
    assert '"redis:/data"' in text


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    for path in UNITS:
        # systemd-analyze verify needs the programs to exist.
        text = path.read_text().replace("/opt/rtserver/.venv/bin/rtserver", "/bin/true")
        (tmp_path / path.name.replace("@", "@a")).write_text(text)
    command = [verify, "verify", str(tmp_path / unit.name.replace("@", "@a"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_haproxy_accepts_its_configuration(tmp_path: Path) -> None:
    command = [program("haproxy"), "-c", "-f", str(haproxy_file(tmp_path, free_port(), {}))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_haproxy_counts_and_blocks_paths_as_rtserver_decodes_them(tmp_path: Path) -> None:
    """HAProxy sees the raw request, rtserver the decoded one: the spelling must make no difference."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    app = web.Application(handler_args={"max_field_size": 20_000})
    app.router.add_route("*", "/{path:.*}", answer)
    port = free_port()
    async with TestServer(app) as behind:
        places = {"10.0.0.1:8001": f"127.0.0.1:{behind.port}", "10.0.0.2:8001": "127.0.0.1:9", "gt 500": "gt 5"}
        command = [program("haproxy"), "-db", "-f", str(haproxy_file(tmp_path, port, places))]
        running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        try:
            await wait_for_port(port, running)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:

                async def status(target: str) -> int:
                    url = URL(f"https://127.0.0.1:{port}{target}", encoded=True)
                    return (await http.get(url)).status

                assert [await status(path) for path in ("/", "/metrics", "/%6detrics")] == [200, 404, 404]
                new = "/socket.io/?EIO=4&transport=polling"
                assert {await status(new) for _ in range(10)} == {200, 429}
                for query in ("&sid=", "&x=1;sid=a-x", "&SID=a-x"):
                    assert await status(new + query) == 429, query
                assert await status("/%73ocket.io/?EIO=4&transport=polling") == 429
                assert await status("/socket.io?EIO=4&transport=polling") == 429
                assert await status(new + "&sid=a-x") == 200
                large = {"Cookie": "sso=" + "x" * 16_000}
                assert (await http.get(f"https://127.0.0.1:{port}/", headers=large)).status == 200
        finally:
            running.terminate()
            await running.wait()


async def wait_for_port(port: int, running: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(20):
        while running.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise AssertionError("HAProxy did not start")


def test_caddy_accepts_its_configuration() -> None:
    command = [program("caddy"), "validate", "--adapter", "caddyfile", "--config", str(ROOT / "caddy" / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
