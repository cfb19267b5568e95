"""An interpreter that has loaded rtserver, from which servers are forked: loading it costs most of a server's start.

What is forked is a process of its own, with the arguments, environment, folder, log and exit code that it would have as
a command. Run as a program, this module is that interpreter: it reads requests from standard input, a JSON line each.
"""

import gc
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class PreloadedInterpreter:
    """Loaded at the first `fork`; `close` at the end of the run. Safe in several threads."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def fork(self, argv: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path) -> "Fork":
        """Start a process that runs the command `rtserver` with these arguments."""
        request = {"argv": ["rtserver", *argv], "log": str(log), "env": dict(env), "cwd": str(cwd)}
        return Fork(self, self.ask(request))

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Send one request and return its answer."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, "the preloaded interpreter ended"
        return json.loads(answer)

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.close()
            self._process.wait()


class Fork:
    """A forked process, with what tests use of `subprocess.Popen`."""

    def __init__(self, interpreter: PreloadedInterpreter, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._interpreter = interpreter
        self._ended = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._exit_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code; raises `subprocess.TimeoutExpired`."""
        code = self._exit_code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("rtserver", timeout or 0)
        return code

    def _exit_code(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            self.returncode = self._interpreter.ask({"ended": self.pid})
            os.close(self._ended)
        return self.returncode


def _serve_requests() -> list[str]:
    """Answer requests until standard input ends, or return the arguments of `rtserver` in a forked process."""
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            _, status = os.waitpid(request["ended"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                _become(request)
                return list(request["argv"])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    return []


def _become(request: Mapping[str, Any]) -> None:
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])


if __name__ == "__main__":
    import contextlib

    from rtserver.cli import main

    for _part in (
        "rtserver.process.serve", "rtserver.app.redis_cluster", "rtserver.app.redis_inbox", "rtserver.ingest.rabbitmq",
        "rtserver.store.db.sqlite", "rtserver.store.db.postgres", "uvloop", "sqlalchemy.dialects.postgresql",
    ):  # fmt: skip
        with contextlib.suppress(ImportError):
            __import__(_part)
    gc.freeze()
    sys.argv = _serve_requests()
    if sys.argv:
        main()
