"""How often something may happen: `50/s`, `10/m`. Does not count; see the bucket that does."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WRITTEN = re.compile(r"([1-9][0-9]{0,8})/([sm])")
_SECONDS = {"s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` times in `seconds`, in bursts of up to twice that."""

    count: int
    seconds: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`COUNT/s` or `COUNT/m`; raises ValueError for anything else."""
        written = _WRITTEN.fullmatch(text.strip())
        if written is None:
            raise ValueError("a rate is written COUNT/s or COUNT/m, such as 50/s")
        return cls(int(written[1]), _SECONDS[written[2]])

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def burst(self) -> int:
        return 2 * self.count

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "m"}.get(self.seconds, f"{self.seconds:g}s")
        return f"{self.count}/{unit}"
