"""rtserver/workers/worker_args.py: during an upgrade, an older supervisor starts the newer worker."""

from __future__ import annotations

from rtserver.workers.worker_args import WorkerArgs

OLDER = (
    '{"instance": "a1", "listen": [3, 4], "line": 5, "folder": "/tmp/x", "welcome": false, "flags": {"port": "8000"}}'
)


def test_the_argument_of_an_older_supervisor_is_accepted() -> None:
    args = WorkerArgs.read(OLDER)
    assert args == WorkerArgs("a1", (3, 4), 5, "/tmp/x", False, {"port": "8000"})
    assert args.command()[1:] == ["-P", "-m", "rtserver.workers.worker", OLDER]
