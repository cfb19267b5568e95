"""The attacks: kinds of cost that one client could make others bear, with the server's settings and what is sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from rig.attacks import large_messages, nested_json, refused_bodies, repeated_field, search, unread_answers
from rig.attacks.large_messages import JSON, SENDERS, members, strangers
from rig.attacks.msgpack_values import NILS, TINY, colliding_keys, packet
from rig.attacks.target import Target


@dataclass(frozen=True, slots=True)
class Attack:
    title: str
    run: Callable[[Target], Coroutine[Any, Any, None]]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of the server besides the defaults."""
    prepare: Callable[[Target], Coroutine[Any, Any, None]] | None = None
    """What the server is filled with before the attack; the memory that it takes is not counted."""

    @property
    def parser(self) -> str:
        return self.environment.get("RTSERVER_PARSER", "json")


MSGPACK = {"RTSERVER_PARSER": "msgpack"}


async def colliding(target: Target) -> None:
    await strangers(packet(colliding_keys()))(target)


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
    "search": Attack("48 searches for 200 letters without spaces, on eight sockets of one user", search.run),
    **{
        f"json-{name}": Attack(f"990 kB of {name} in JSON, twenty times, before anybody logged in", strangers(text))
        for name, text in JSON.items()
    },
    **{
        f"member-{name}": Attack(f"990 kB of {name} in JSON by a member of the chat", members(1, text))
        for name, text in JSON.items()
    },
    "senders": Attack(
        f"990 kB of arrays in JSON by {SENDERS} members at the same time", members(SENDERS, JSON["arrays"])
    ),
    "deflated": Attack(
        "990 kB of nested brackets, deflated to 3 kB, before anybody logged in",
        large_messages.deflated,
        {"RTSERVER_PER_MESSAGE_DEFLATE": "true"},
    ),
    "packets": Attack("POSTs of 10,000 packets", large_messages.packets),
    "msgpack-keys": Attack("74,000 keys that collide in msgpack, before anybody logged in", colliding, MSGPACK),
    "msgpack-nils": Attack("990 kB of nils in msgpack, before anybody logged in", strangers(packet(NILS)), MSGPACK),
    "msgpack-tiny": Attack(
        "1 MB of tiny values in msgpack, before anybody logged in", strangers(packet(TINY)), MSGPACK
    ),
    "queries": Attack("CONNECTs of version 2 with 980 kB", large_messages.queries, {"RTSERVER_ALLOW_EIO3": "true"}),
}
