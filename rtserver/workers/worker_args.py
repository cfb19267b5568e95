"""Arguments of a worker process: one JSON object on its command line.

The format is a contract between versions: during a rolling restart an older supervisor starts a newer worker. Field
names are its keys and must stay.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerArgs:
    """What a worker is started with.

    `listen`: descriptors of the listening sockets; `line`: descriptor of the control channel; `folder`: where the
    workers' Unix sockets are; `welcome`: whether to print the welcome text; `flags`: those of `rtserver serve`, none of
    which is a secret.
    """

    instance: str
    listen: tuple[int, ...]
    line: int
    folder: str
    welcome: bool
    flags: Mapping[str, Any]

    def command(self) -> list[str]:
        """Return the command of a fresh interpreter, so that a replaced worker runs the code installed by then."""
        return [sys.executable, "-P", "-m", "rtserver.workers.worker", json.dumps(asdict(self))]

    @classmethod
    def read(cls, text: str) -> WorkerArgs:
        """Parse the argument; raises `ValueError`, `KeyError` or `TypeError` when it is not one of ours."""
        values = json.loads(text)
        return cls(**{**values, "listen": tuple(values["listen"])})
