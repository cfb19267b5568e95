"""The project's own configurations of nginx, HAProxy and Caddy, adapted as their comments say, with a certificate."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.nginx_server import NginxServer
from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

SITE = ROOT / "nginx" / "site.conf"
HAPROXY = ROOT / "haproxy" / "haproxy.cfg"
CADDY = ROOT / "caddy" / "Caddyfile"
_FOLDERS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"


def program(name: str) -> str:
    """Return the path of a program that `make test` installs."""
    found = shutil.which(name) or shutil.which(name, path=_FOLDERS)
    assert found, f"{name} is not installed: `make test` installs it"
    return found


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost; return the paths of its chain and its key."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(chain)],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


def replaced(text: str, replace: Mapping[str, str]) -> str:
    """Return the text with each replacement, all of which must apply."""
    for old, new in replace.items():
        assert old in text, f"the configuration does not say {old!r}"
        text = text.replace(old, new)
    return text


def _instances(a: RtServer, b: RtServer) -> dict[str, str]:
    return {"10.0.0.1:8001": f"127.0.0.1:{a.port}", "10.0.0.2:8001": f"127.0.0.1:{b.port}"}


def start_nginx(processes: Processes, a: RtServer, b: RtServer, more: Mapping[str, str]) -> str:
    """Start nginx with site.conf; return its URL. `more`: further replacements in the file."""
    chain, key = certificate(processes.new_folder("certificate"))
    replace = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": "listen 127.0.0.1:{port} ssl",
        "/etc/letsencrypt/live/rt.example.com/fullchain.pem": str(chain),
        "/etc/letsencrypt/live/rt.example.com/privkey.pem": str(key),
        "/var/log/nginx/rtserver.log rtserver": "off",
    }
    server = NginxServer(processes, SITE, _instances(a, b) | replace | dict(more))
    server.start()
    return f"https://127.0.0.1:{server.port}"


def haproxy_file(folder: Path, port: int, more: Mapping[str, str]) -> Path:
    """Write haproxy.cfg with a certificate and that port; return its path."""
    chain, key = certificate(folder)
    (folder / "both.pem").write_text(chain.read_text() + key.read_text())
    path = folder / "haproxy.cfg"
    replace = {
        "bind :443": f"bind 127.0.0.1:{port}",
        "bind :80": f"bind 127.0.0.1:{free_port()}",
        "/etc/haproxy/rt.example.com.pem": str(folder / "both.pem"),
        "maxconn 40000": "maxconn 500",
    }
    path.write_text(replaced(HAPROXY.read_text(), replace | dict(more)))
    return path


def start_haproxy(processes: Processes, a: RtServer, b: RtServer, more: Mapping[str, str]) -> str:
    """Start HAProxy with haproxy.cfg; return its URL."""
    folder, port = processes.new_folder("haproxy"), free_port()
    path = haproxy_file(folder, port, _instances(a, b) | dict(more))
    return _start(processes, "haproxy", [program("haproxy"), "-db", "-f", str(path)], folder, port)


def start_caddy(processes: Processes, a: RtServer, b: RtServer, more: Mapping[str, str]) -> str:
    """Start Caddy with the Caddyfile; return its URL."""
    folder, port = processes.new_folder("caddy"), free_port()
    chain, key = certificate(folder)
    # The address of the site is the client's, and there is no authority to obtain a certificate from.
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_sni localhost\n}\n"
    site = f"https://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\ttls {chain} {key}\n"
    path = folder / "Caddyfile"
    path.write_text(options + replaced(CADDY.read_text(), {"rt.example.com {\n": site} | _instances(a, b) | dict(more)))
    command = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(path)]
    return _start(processes, "caddy", command, folder, port)


def _start(processes: Processes, name: str, command: list[str], folder: Path, port: int) -> str:
    env = {"HOME": str(folder), "PATH": _FOLDERS, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    process = processes.add(Process(f"{name} {port}", command, log=folder / "log", env=env, cwd=folder))
    process.start(lambda: accepts_connections(port))
    return f"https://127.0.0.1:{port}"


PROXIES: dict[str, Callable[[Processes, RtServer, RtServer, Mapping[str, str]], str]] = {
    "nginx": start_nginx,
    "haproxy": start_haproxy,
    "caddy": start_caddy,
}
FEW_SESSIONS = {
    "nginx": {"burst=500": "burst=10", "rate=50r/s": "rate=1r/s"},
    "haproxy": {"gt 500": "gt 10"},
}
"""Replacements that lower the limit of new sessions. Caddy has none, as its file says."""
