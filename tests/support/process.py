"""Child processes of a test: started, waited for, stopped, and their logs kept for the failure report."""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

READY_SECONDS = 30.0
STOP_SECONDS = 20.0


class Child(Protocol):
    """What `Process` needs of `subprocess.Popen`."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Process:
    """One command that can be started, stopped and started again; its output is appended to one log file.

    It leads a process group of its own, so that `kill`, `pause` and `resume` reach its workers too.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._env = env
        self._cwd = cwd
        self._user = user
        self._stop_signal = stop_signal
        self._pass_fds = pass_fds
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was not started"
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def logs(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def spawn(self) -> None:
        """Start the command without waiting for anything."""
        assert not self.running, f"{self.name} runs already"
        with self._log.open("ab") as output:
            self._child = self._popen(output)

    def _popen(self, output: IO[bytes]) -> Child:
        account = pwd.getpwnam(self._user) if self._user else None
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if self._env is None else dict(self._env),
            cwd=self._cwd,
            start_new_session=True,
            pass_fds=self._pass_fds,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )

    def start(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Start the command and block until `ready()` is true."""
        self.spawn()
        deadline = time.monotonic() + seconds
        while not ready():
            self.check_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} was not ready in {seconds:.0f} s; its log:\n{self.logs()}")
            time.sleep(0.02)

    def check_alive(self) -> None:
        """Fail with the log if the process has ended."""
        if not self.running:
            raise AssertionError(f"{self.name} ended with {self.returncode}; its log:\n{self.logs()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group."""
        if self.running:
            os.killpg(self.pid, number)

    def terminate(self) -> None:
        """Ask the leading process to stop, without waiting."""
        if self.running:
            os.killpg(self.pid, signal.SIGCONT)
            os.kill(self.pid, self._stop_signal)

    def stop(self, seconds: float = STOP_SECONDS) -> int | None:
        """Ask the process to stop, wait, and kill it when it does not; return its exit code."""
        if self._child is None:
            return None
        self.terminate()
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.returncode

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself and return its exit code."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child.wait(seconds)

    def kill(self) -> None:
        """End the whole process group at once, as `kill -9` does."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def pause(self) -> None:
        """Freeze the process: the kernel still accepts connections, nothing answers."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)


class Processes:
    """The processes of one test: all end with it, and their logs are added to its report when it fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: list[Process] = []

    def new_folder(self, name: str) -> Path:
        """Return an empty folder for a process that is about to be started."""
        folder = self.folder / f"{name}-{len(self._all) + 1}"
        folder.mkdir(parents=True)
        return folder

    def add(self, process: Process) -> Process:
        self._all.append(process)
        return process

    def report(self, lines: int = 80) -> list[tuple[str, str]]:
        """Return (title, tail of the log) of each process."""
        tails = [(process, process.logs().splitlines()[-lines:]) for process in self._all]
        return [(f"log of {process.name}", "\n".join(tail)) for process, tail in tails if tail]

    def stop_all(self) -> None:
        for process in reversed(self._all):
            process.terminate()
        for process in reversed(self._all):
            process.stop()
            process.kill()
