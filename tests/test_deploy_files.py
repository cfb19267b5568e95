"""The files that a server is deployed with name what there is, agree with each other, and are valid.

Where a tool is missing that would judge one of them (HAProxy, Caddy, systemd), that test is skipped. No container is
built: what the files say is checked against the checkout.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rtserver import run
from rtserver.settings import Settings
from rtserver.settings_sources import variable

ROOT = Path(__file__).parent.parent
UNITS = sorted((ROOT / "deploy").iterdir())
PROXIES = [ROOT / path for path in ("nginx/nginx.conf", "nginx/site.conf", "haproxy/haproxy.cfg", "caddy/Caddyfile")]
FILES = [
    *UNITS, *PROXIES, *(ROOT / name for name in ("Containerfile", "compose.yaml", "Procfile", "nginx/instance.sh")),
    ROOT / "docs" / "deploy.md",
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    settings = {variable(name) for name in Settings.rules()}
    named = set(re.findall(r"RTSERVER_[A-Z_]*[A-Z]\b(?!_)", path.read_text()))
    assert named <= settings | {"RTSERVER_MAX"}, named - settings


@pytest.mark.parametrize("path", PROXIES, ids=lambda path: path.name)
def test_a_proxy_lets_go_of_idle_connections_before_rtserver_does(path: Path) -> None:
    """Else a request meets a connection that is just being closed, and a POST is not repeated."""
    limits = re.findall(r"^\s*(?:keepalive_timeout|timeout http-keep-alive|keepalive) (\d+)s", path.read_text(), re.M)
    limits += re.findall(r"pool-purge-delay (\d+)s", path.read_text())
    assert limits
    assert all(int(limit) + 10 <= run.IDLE_SECONDS for limit in limits)


@pytest.mark.parametrize("path", PROXIES, ids=lambda path: path.name)
def test_a_proxy_waits_longer_than_a_poll_may_take(path: Path) -> None:
    settings = Settings(_env_file=None)
    patterns = r"(?:proxy_read_timeout|timeout server|timeout tunnel|response_header_timeout) (\d+)s"
    waits = re.findall(patterns, path.read_text())
    assert waits
    assert all(int(wait) > settings.ping_interval + settings.ping_timeout for wait in waits)


def test_the_container_is_built_from_what_there_is() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert copied
    admitted = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in admitted, name


def test_the_container_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    last = (ROOT / "Containerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert not re.search(r"SECRET|API_KEY|PASSWORD|_URL", last)


def test_what_compose_mounts_is_there_and_its_secrets_are_not() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in re.findall(r'"\./([^:"]+):', text):
        assert (ROOT / name).exists(), name
    for line in re.findall(r"^.*(?:SECRET|PASSWORD|API_KEY):.*$", text, re.MULTILINE):
        assert "${" in line, line


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_one_that_systemd_takes(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    for path in UNITS:
        # verify wants the programs to be there.
        text = path.read_text().replace("/opt/rtserver/.venv/bin/rtserver", "/bin/true")
        (tmp_path / path.name.replace("@", "@a")).write_text(text)
    command = [verify, "verify", str(tmp_path / unit.name.replace("@", "@a"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_haproxy_takes_its_configuration(tmp_path: Path) -> None:
    if (haproxy := shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")) is None:
        pytest.skip("HAProxy is not installed")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "chain")],
        check=True, capture_output=True,
    )  # fmt: skip
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "chain").read_text() + (tmp_path / "key").read_text())
    text = (ROOT / "haproxy" / "haproxy.cfg").read_text().replace("/etc/haproxy/rt.example.com.pem", str(both))
    (tmp_path / "haproxy.cfg").write_text(text)
    command = [haproxy, "-c", "-f", str(tmp_path / "haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_caddy_takes_its_configuration() -> None:
    if (caddy := shutil.which("caddy")) is None:
        pytest.skip("Caddy is not installed")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", str(ROOT / "caddy" / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
