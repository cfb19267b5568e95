"""nginx/site.conf adapted as its comments say, on free ports, with a certificate of its own."""

import subprocess
from pathlib import Path

from tests.support.ports import free_port
from tests.support.rtserver_process import RtServer

SITE = Path(__file__).parents[2] / "nginx" / "site.conf"


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost; return the paths of its chain and its key."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(chain)],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


def site(a: RtServer, b: RtServer, folder: Path) -> dict[str, str]:
    """Return the replacements for instances `a` and `b`."""
    chain, key = certificate(folder)
    return {
        "10.0.0.1:8001": f"127.0.0.1:{a.port}",
        "10.0.0.2:8001": f"127.0.0.1:{b.port}",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": "listen 127.0.0.1:{port} ssl",
        "/etc/letsencrypt/live/rt.example.com/fullchain.pem": str(chain),
        "/etc/letsencrypt/live/rt.example.com/privkey.pem": str(key),
        "/var/log/nginx/rtserver.log rtserver": "off",
    }
