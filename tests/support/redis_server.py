"""A real, empty redis-server on a port of its own."""

import shutil

from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes


class RedisServer:
    """`url`, `port`, and its faults: `stop`, `start`, `kill`, `pause`, `resume`.

    Nothing is kept over a stop. `options` are those of its command line.
    """

    def __init__(self, processes: Processes, *options: str) -> None:
        binary = shutil.which("redis-server")
        assert binary, "redis-server is not installed: `make test` installs it"
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder = processes.new_folder("redis")
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = [binary, *own, "--dir", str(folder), *options]
        self._process = processes.add(Process(f"redis {self.port}", command, log=folder / "log"))

    def start(self) -> None:
        self._process.start(lambda: accepts_connections(self.port))

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        """Freeze it: the kernel accepts connections, commands are not answered."""
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def logs(self) -> str:
        return self._process.logs()
