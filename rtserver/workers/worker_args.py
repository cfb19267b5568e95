"""What the supervisor tells a worker at its start, as the one argument of its command."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerArgs:
    """`listen` and `line` are descriptors; `flags` are those of `rtserver serve`, none of which is a secret."""

    instance: str
    listen: tuple[int, ...]
    line: int
    folder: str
    welcome: bool
    flags: Mapping[str, Any]

    def command(self) -> list[str]:
        """A fresh interpreter, so that a worker that is replaced runs the code that is installed by then."""
        return [sys.executable, "-P", "-m", "rtserver.workers.worker", json.dumps(asdict(self))]

    @classmethod
    def read(cls, text: str) -> WorkerArgs:
        values = json.loads(text)
        return cls(**{**values, "listen": tuple(values["listen"])})
