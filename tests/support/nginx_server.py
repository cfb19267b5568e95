"""A real nginx that runs one of the project's own configuration files."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes

_SCRATCH = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_WHOLE = "events {{ worker_connections 1024; }}\nhttp {{\n{scratch}\n{fragment}\n}}\n"


class NginxServer:
    """`url` and `port` of a running nginx; `stop`, `start` and `logs`."""

    def __init__(self, processes: Processes, config: Path, replace: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder = processes.new_folder("nginx")
        (folder / "logs").mkdir()
        path = folder / "nginx.conf"
        path.write_text(self._complete(self._replaced(config.read_text(), replace), folder))
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        assert binary, "nginx is not installed: `make test` installs it"
        command = [binary, "-p", f"{folder}/", "-e", "stderr", "-c", str(path), "-g", "daemon off;"]
        self._process = processes.add(Process(f"nginx {self.port}", command, log=folder / "log"))

    def _replaced(self, config: str, replace: Mapping[str, str]) -> str:
        for old, new in replace.items():
            assert old in config, f"the nginx configuration does not say {old!r}"
            config = config.replace(old, new.format(port=self.port))
        assert str(self.port) in config, "no replacement put {port} into a `listen`"
        return config

    def _complete(self, config: str, folder: Path) -> str:
        scratch = "\n".join(f"{name}_temp_path {folder}/{name};" for name in _SCRATCH)
        if not re.search(r"^\s*http\s*\{", config, re.MULTILINE):
            config = _WHOLE.format(scratch=scratch, fragment=config)
        else:
            config = re.sub(r"^\s*http\s*\{", f"http {{\n{scratch}", config, count=1, flags=re.MULTILINE)
        # As root, its workers would run as the user nobody, who cannot enter pytest's folders.
        if os.geteuid() == 0 and not re.search(r"^\s*user\s", config, re.MULTILINE):
            config = "user root;\n" + config
        config = re.sub(r"^\s*pid\s[^;]*;", "", config, flags=re.MULTILINE)
        return f"pid {folder}/nginx.pid;\n{config}"

    def start(self) -> None:
        self._process.start(lambda: accepts_connections(self.port))

    def stop(self) -> None:
        self._process.stop()

    def logs(self) -> str:
        return self._process.logs()
