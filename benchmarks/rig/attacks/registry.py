"""The attacks: kinds of cost that one client could make others bear, with the server's settings and what is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rig.attacks import nested_json, search, unread_answers
from rig.attacks.target import Target


@dataclass(frozen=True, slots=True)
class Attack:
    title: str
    run: Callable[[Target], Awaitable[None]]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of the server besides the defaults."""
    prepare: Callable[[Target], Awaitable[None]] | None = None
    """What the server is filled with before the attack; the memory that it takes is not counted."""

    @property
    def parser(self) -> str:
        return self.environment.get("RTSERVER_PARSER", "json")


ATTACKS: Mapping[str, Attack] = {
    "unread-sync": Attack(
        "`sync` of 1,000 long messages on 12 WebSockets that are not read",
        unread_answers.over_websocket,
        prepare=unread_answers.prepare,
    ),
    "unread-sync-polling": Attack(
        "The same by 12 clients that poll no more", unread_answers.over_polling, prepare=unread_answers.prepare
    ),
    "unread-sync-one": Attack(
        "The same twelve times on one WebSocket", unread_answers.on_one_websocket, prepare=unread_answers.prepare
    ),
    "nested-json": Attack("990 kB of nested brackets, twenty times, before anybody logged in", nested_json.run),
    "search": Attack("48 searches for 200 letters without spaces, on eight sockets of one user", search.run),
}
