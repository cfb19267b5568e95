"""The attacks: kinds of cost that one client could make others bear, with the server's settings and what is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rig.attacks import nested_json
from rig.attacks.target import Target


@dataclass(frozen=True, slots=True)
class Attack:
    title: str
    run: Callable[[Target], Awaitable[None]]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of the server besides the defaults."""

    @property
    def parser(self) -> str:
        return self.environment.get("RTSERVER_PARSER", "json")


ATTACKS: Mapping[str, Attack] = {
    "nested-json": Attack("990 kB of nested brackets, twenty times, before anybody logged in", nested_json.run),
}
