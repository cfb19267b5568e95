"""A server that restarts within moments of a kill: forked from a process that has imported everything.

Run as a program, it forks for each line of standard input a process that serves as `rtserver serve` does, with the
settings of the environment, and writes its id. At the end of standard input it ends.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path


class ForkedServer:
    """`await start()` and `await kill()` any number of times; `close` at the end."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._env = dict(env)
        self._folder = folder
        self._forker: asyncio.subprocess.Process | None = None
        self._pid = 0

    async def open(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._forker = await asyncio.create_subprocess_exec(
                sys.executable,
                __file__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=self._folder,
            )

    async def start(self) -> None:
        assert self._forker is not None
        assert self._forker.stdin
        assert self._forker.stdout
        self._forker.stdin.write(b"start\n")
        line = await self._forker.stdout.readline()
        assert line, f"the forking process ended; its log:\n{self.logs()}"
        self._pid = int(line)

    async def kill(self) -> None:
        """Kill it and wait until its port is free: a killed process ends only when it is scheduled."""
        ended = asyncio.Event()
        loop, process = asyncio.get_running_loop(), os.pidfd_open(self._pid)
        try:
            loop.add_reader(process, ended.set)
            signal.pidfd_send_signal(process, signal.SIGKILL)
            await ended.wait()
        finally:
            loop.remove_reader(process)
            os.close(process)
        self._pid = 0

    def logs(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")

    async def close(self) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                await self.kill()
        if self._forker is not None:
            assert self._forker.stdin
            self._forker.stdin.close()
            await self._forker.wait()


def main() -> None:
    from rtserver.config.settings import Settings
    from rtserver.process import serve

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # their exit status is not needed
    settings = Settings()
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401  # else each life would load it
    gc.collect()
    gc.freeze()  # spares each child the collection of imported modules
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            serve.run_standalone(settings)
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
