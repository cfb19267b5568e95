"""The attacks: kinds of cost that one client could make others bear, with the server's settings and what is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rig.attacks import nested_json, refused_bodies, repeated_field, unread_answers
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
    "inflating-bodies": Attack(
        "2 GB in 1.9 MB of gzip, to two paths that refuse it before anybody logged in", refused_bodies.inflating
    ),
    "refused-chunks": Attack("600,000 chunks of one byte, to the same two paths", refused_bodies.chunked),
    "wanted-chunks": Attack(
        "600,000 chunks of one byte, four times, to the HTTP API with its key", refused_bodies.chunked_and_accepted
    ),
    "repeated-field": Attack("JSON with 20,000 fields and one of them twice, five times", repeated_field.run),
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
}
