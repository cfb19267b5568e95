"""Every event of every namespace rejects payloads of all wrong types with `invalid_payload`, and works on."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.namespaces.conftest import Device
from tests.sio.raw import Raw
from tests.support.rtserver_process import RtServer

LONG = "x" * 5_000
WRONG_ANYWHERE: list[list[Any]] = [
    [0],
    [-1],
    [10**30],
    [1.5],
    [True],
    ["text"],
    [""],
    [LONG],
    [[{}]],
    [[None]],
    [b"bytes"],
]
"""Arguments that no event accepts: neither one object nor none."""

NO_PAYLOAD: list[list[Any]] = [[None], [[]], [None, None], [[], {"room": "general"}]]
"""Arguments that are as good as none."""

NEEDLESS = {
    ("/chat", "rooms"), ("/chat", "online"), ("/notifications", "list"), ("/notifications", "unread"),
    ("/notifications", "preferences"), ("/admin", "clients"),
}  # fmt: skip
"""The events that need no payload."""

WRONG_VALUES: list[Any] = [0, -1, 10**30, 1e300, 1.5, True, "", LONG, [], [None], {}, {"a": {"b": 1}}, b"x", "a\0b"]
"""Values for one field; one that fits the field's type is left out below."""

MESSAGE = "the id of a message"
"""Stands for a real one below."""

EVENTS: dict[tuple[str, str], dict[str, Any]] = {
    ("/chat", "join"): {"room": "general"},
    ("/chat", "leave"): {"room": "elsewhere"},
    ("/chat", "message"): {"room": "general", "text": "hello", "nonce": "n", "mentions": ["bob"]},
    ("/chat", "edit"): {"room": "general", "id": MESSAGE, "text": "hello", "mentions": ["bob"]},
    ("/chat", "react"): {"room": "general", "id": MESSAGE, "emoji": "+1", "on": True},
    ("/chat", "delete"): {"room": "general", "id": MESSAGE},
    ("/chat", "sync"): {"rooms": {"general": 0}, "limit": 10, "join": True},
    ("/chat", "search"): {"query": "hello", "room": "general", "cursor": "9", "limit": 10},
    ("/chat", "typing"): {"room": "general", "typing": True},
    ("/chat", "read"): {"room": "general", "seq": 1},
    ("/chat", "history"): {"to": "bob", "before": 5, "limit": 10},
    ("/chat", "rooms"): {},
    ("/chat", "members"): {"room": "general"},
    ("/chat", "online"): {"users": ["bob"]},
    ("/notifications", "list"): {"before": 5, "limit": 10, "unread": True, "type": "order"},
    ("/notifications", "unread"): {},
    ("/notifications", "read"): {"ids": ["a"]},
    ("/notifications", "seen"): {"upTo": 5},
    ("/notifications", "delete"): {"ids": ["a"]},
    ("/notifications", "delivered"): {"ids": ["a"]},
    ("/notifications", "preferences"): {},
    ("/notifications", "setPreferences"): {
        "mutedTypes": ["ads"],
        "mutedRooms": ["general"],
        "quietHours": {"from": "22:00", "to": "07:00", "timeZone": "Europe/Paris"},
    },
    ("/admin", "clients"): {"namespace": "/chat", "room": "general", "user": "bob", "limit": 5, "cursor": "x"},
    ("/admin", "rooms"): {"namespace": "/chat"},
    ("/admin", "kick"): {"user": "nobody", "reason": "none"},
    ("/admin", "announce"): {"namespaces": ["/chat"], "event": "news"},
}
"""A valid payload of each event."""

FITTING: dict[str, list[Any]] = {
    "typing": [True],
    "on": [True],
    "join": [True],
    "rooms": [{}],
    "unread": [True],
    "seq": [0],
    "before": [0],
    "upTo": [0],
    "mutedTypes": [[]],
    "mutedRooms": [[]],
    "users": [[]],
    "mentions": [[]],
    "ids": [[]],
    "reason": ["", "a\0b"],
    "room": [],
    "text": [LONG],
}
LENIENT = {"namespace", "user", "cursor", "event", "namespaces"}
"""Fields of /admin that accept any text: a wrong one is answered with `not_found` or an empty result."""


def wrong_payloads(good: dict[str, Any], admin: bool, needless: bool) -> list[list[Any]]:
    wrong = [*WRONG_ANYWHERE, *(() if needless else NO_PAYLOAD)]
    for field in good:
        fitting = FITTING.get(field, [])
        for value in WRONG_VALUES:
            if any(type(value) is type(fit) and value == fit for fit in fitting):
                continue
            if admin and isinstance(value, str) and value and field in {*LENIENT, "room"}:
                continue
            wrong.append([good | {field: value}])
    return wrong


@pytest.mark.timeout(60)
async def test_wrong_payloads_are_rejected_and_break_nothing(device: Device) -> None:
    clients = {
        "/chat": await device("alice", "/chat"),
        "/notifications": await device("alice", "/notifications", auth={"device": "phone"}),
        "/admin": await device("root", "/admin", ("admin",)),
    }
    await clients["/chat"].call("join", {"room": "general"})
    sent = await clients["/chat"].call("message", {"room": "general", "text": "hello"})
    for (namespace, event), good in EVENTS.items():
        client = clients[namespace]
        good = {field: sent["message"]["id"] if value == MESSAGE else value for field, value in good.items()}
        assert (await client.call(event, good))["ok"], (namespace, event)
        wrong = wrong_payloads(good, namespace == "/admin", (namespace, event) in NEEDLESS)
        answers = await asyncio.gather(*(client.call(event, *args) for args in wrong))
        for args, answer in zip(wrong, answers, strict=True):
            assert answer["ok"] is False, (event, args, answer)
            assert answer["error"]["code"] in ("invalid_payload", "too_large"), (event, args, answer)
        assert (await client.call(event, good))["ok"], (namespace, event)
    assert all(client.is_connected for client in clients.values())


async def test_missing_payloads_are_rejected_where_one_is_required(device: Device) -> None:
    for (namespace, event), _ in EVENTS.items():
        roles = ("admin",) if namespace == "/admin" else ()
        client = await device("alice", namespace, roles)
        for arguments in ([], *NO_PAYLOAD):
            answer = await client.call(event, *arguments)
            if (namespace, event) in NEEDLESS:
                assert answer["ok"], event
            else:
                assert answer["error"]["code"] == "invalid_payload", event
        assert (await client.call("no such event"))["error"]["code"] == "unknown_event"


OPTIONAL: dict[tuple[str, str], dict[str, Any]] = {
    ("/chat", "message"): {"nonce": None, "replyTo": None, "mentions": None, "to": None, "data": None},
    ("/chat", "sync"): {"limit": None, "join": None},
    ("/chat", "search"): {"room": None, "cursor": None, "limit": None},
    ("/chat", "history"): {"room": None, "before": None, "after": None, "limit": None},
    ("/chat", "members"): {"limit": None, "cursor": None},
    ("/chat", "online"): {"users": None},
    ("/notifications", "list"): {"before": None, "limit": None, "unread": None, "type": None},
    ("/notifications", "read"): {"all": None, "upTo": None},
    ("/notifications", "seen"): {"all": None, "ids": None},
    ("/notifications", "setPreferences"): {"mutedTypes": None, "mutedRooms": None, "quietHours": None},
    ("/admin", "clients"): dict.fromkeys(("namespace", "room", "user", "limit", "cursor")),
    ("/admin", "rooms"): {"limit": None, "cursor": None},
}


async def test_null_whole_floats_and_surplus_arguments_are_understood(device: Device, running: RtServer) -> None:
    clients = {
        "/chat": await device("alice", "/chat"),
        "/notifications": await device("alice", "/notifications"),
        "/admin": await device("root", "/admin", ("admin",)),
    }
    await clients["/chat"].call("join", {"room": "general"})
    for where, fields in OPTIONAL.items():
        (namespace, event), payload = where, EVENTS[where] | fields
        for arguments in ([payload], [payload, None], [payload, None, {"more": 1}]):
            answer = await clients[namespace].call(event, *arguments)
            assert answer["ok"], (event, arguments, answer)
    alice = clients["/chat"]
    await alice.raw('2/chat,["message",{"room":"general","text":"without an ack"},null]')
    assert (await alice.call("history", {"room": "general"}))["messages"][-1]["text"] == "without an ack"
    async with aiohttp.ClientSession() as http:  # JavaScript cannot write 2.0
        socket = await http.ws_connect(f"{running.url}/socket.io/?EIO=4&transport=websocket")
        raw = await Raw(socket).opened()
        await raw.connect("/chat", {"token": running.token("alice")})
        for limit in (2.0, 100.0):
            [answer] = await raw.call("/chat", "history", {"room": "general", "after": 0.0, "limit": limit}, None)
            assert answer["ok"], limit
        for limit in (50.5, "7", True, 101.0, 0.0, -2.0, 1e300):
            [answer] = await raw.call("/chat", "history", {"room": "general", "limit": limit})
            assert answer["error"]["code"] == "invalid_payload", limit


async def test_hostile_content_is_rejected_or_stored_unchanged(device: Device) -> None:
    alice, bob = await device("alice", "/chat"), await device("bob", "/chat")
    for client in (alice, bob):
        await client.call("join", {"room": "general"})
    mine = (await alice.call("message", {"room": "general", "text": "mine"}))["message"]["id"]
    private = (await bob.call("message", {"to": "carol", "text": "psst"}))["message"]["id"]

    texts = {
        "": "invalid_payload", "   ": "invalid_payload", "\u200b\u200d\ufeff": "invalid_payload",
        "\u2800\u3164": "invalid_payload", "a\0b": "invalid_payload", "x" * 900_000: "too_large",
        "\u202eevil": "ok", "<script>alert(1)</script>": "ok", "'; DROP TABLE messages; --": "ok",
        "@" * 9_000: "ok", "@bob " * 2_000: "ok", "ﷺ" * 10_000: "ok", "🧑‍🚀" * 3_000: "ok",
    }  # fmt: skip
    rooms = {
        "x" * 10_000: "invalid_payload", "a\nb": "invalid_payload", "a\u202eb": "invalid_payload",
        "user:alice": "invalid_payload", "dm:bob:carol": "invalid_payload", "dm:": "invalid_payload",
        "dm:alice": "invalid_payload", "dm:bob:alice": "invalid_payload", str(alice.id): "invalid_payload",
        "": "invalid_payload", "never-joined": "room_not_joined",
    }  # fmt: skip
    for text, code in texts.items():
        for event, fields in (("message", {}), ("edit", {"id": mine})):
            ack = await alice.call(event, {"room": "general", "text": text, **fields})
            assert ("ok" if ack["ok"] else ack["error"]["code"]) == code, (event, text[:20], ack)
            assert not ack["ok"] or ack["message"]["text"] == text.strip()
    for room, code in rooms.items():
        for event, fields in EVENTS_OF_ROOMS.items():
            ack = await alice.call(event, {"room": room, **fields})
            assert ack["ok"] is False, (event, room[:20])
            assert ack["error"]["code"] == code, (event, room[:20], ack)
    for event, fields in CHANGES.items():
        for id_, code in ((mine, "forbidden"), (private, "not_found"), ("nothing", "not_found")):
            if event == "react" and id_ == mine:
                continue
            ack = await bob.call(event, {"room": "general", "id": id_, **fields})
            assert ack["error"]["code"] == code, (event, code, ack)

    for seq, stands in ((10**15, True), (0, True), (1, True)):
        assert (await bob.call("read", {"room": "general", "seq": seq}))["ok"] is stands
    last = (await bob.call("history", {"room": "general"}))["messages"][-1]["seq"]
    room = next(room for room in (await bob.call("rooms"))["rooms"] if room["room"] == "general")
    assert (room["unread"], room["lastRead"]) == (0, last), "a cursor stops at the last message and never goes back"
    for cursor in (0, 2**53 - 1):
        for side in ("before", "after"):
            ack = await alice.call("history", {"room": "general", side: cursor})
            assert ack["ok"]
    assert (await alice.call("search", {"query": "psst", "cursor": "9" * 64}))["ok"] is False
    assert (await alice.call("search", {"query": "psst"}))["messages"] == []


CHANGES: dict[str, dict[str, Any]] = {
    "edit": {"text": "x"}, "delete": {}, "react": {"emoji": "+1", "on": True}
}  # fmt: skip
EVENTS_OF_ROOMS: dict[str, dict[str, Any]] = {
    "message": {"text": "x"}, "edit": {"id": "m", "text": "x"}, "delete": {"id": "m"},
    "react": {"id": "m", "emoji": "+1", "on": True}, "typing": {"typing": True}, "read": {"seq": 1}, "history": {},
    "members": {}, "search": {"query": "x"},
}  # fmt: skip
