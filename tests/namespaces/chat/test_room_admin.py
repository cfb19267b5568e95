"""Members added and removed by backends and admins, as clients see it."""

from typing import Any

import pytest

from tests.namespaces.backend import Backend
from tests.namespaces.chat.test_namespace import settled
from tests.namespaces.conftest import Device
from tests.support.rtserver_process import RtServer

BOARD = "/api/rooms/board"


@pytest.fixture
def backend(running: RtServer) -> Backend:
    return Backend(running)


async def test_a_backend_adds_and_removes_members(device: Device, backend: Backend) -> None:
    phone, laptop = await device("alice", "/chat"), await device("alice", "/chat")
    bob = await device("bob", "/chat")
    admin = await device("root", "/admin", ("admin",))
    status, made = await backend.patch(BOARD, {"policy": "members", "meta": {"title": "Board"}})
    assert (status, made["room"]["policy"], made["room"]["meta"]) == (200, "members", {"title": "Board"})
    assert (await phone.call("join", {"room": "board"}))["error"]["code"] == "forbidden"
    people = {"members": [{"id": "alice"}, {"id": "bob", "name": "Robert"}, {"id": "alice"}]}
    assert await backend.post(BOARD + "/members", people) == (200, {"ok": True, "added": ["alice", "bob"]})
    assert await backend.put(BOARD + "/members/bob", {}) == (200, {"ok": True, "added": []})
    for client in (phone, laptop):
        assert await client.next("joined") == [{"room": "board", "user": "alice"}]
    for client in (phone, laptop, bob):
        assert (await client.call("join", {"room": "board"}))["ok"]
    assert (await backend.get(BOARD + "/members"))[1]["members"] == [
        {"id": "alice", "name": "Alice"}, {"id": "bob", "name": "Bob"}
    ]  # fmt: skip
    assert await backend.delete(BOARD + "/members/alice") == (200, {"ok": True, "removed": ["alice"]})
    for client in (phone, laptop, bob):
        assert await client.next("left") == [{"room": "board", "user": "alice"}]
    await bob.call("message", {"room": "board", "text": "They are gone"})
    assert (await phone.call("message", {"room": "board", "text": "x"}))["error"]["code"] == "room_not_joined"
    assert (await phone.call("join", {"room": "board"}))["error"]["code"] == "forbidden"
    assert (await phone.call("history", {"room": "board"}))["error"]["code"] == "room_not_joined"
    assert await backend.delete(BOARD + "/members?user=alice&user=bob&user=nobody") == (
        200, {"ok": True, "removed": ["bob"]}
    )  # fmt: skip
    await settled(phone, laptop)
    assert not phone.received("message")
    seen = [(await admin.next("log"))[0] for _ in range(4)]
    assert [(entry["event"], entry["by"]) for entry in seen] == [
        ("configure", "api key"), ("addMembers", "api key"), ("removeMembers", "api key"), ("removeMembers", "api key")
    ]  # fmt: skip


async def test_admins_change_members_and_observers_read_them(device: Device) -> None:
    alice = await device("alice", "/chat")
    admin, observer = await device("root", "/admin", ("admin",)), await device("eye", "/admin", ("observer",))
    added = await admin.call("addMembers", {"room": "board", "users": ["alice", {"id": "bob", "name": "Bob"}]})
    assert added == {"ok": True, "added": ["alice", "bob"]}
    assert await alice.next("joined") == [{"room": "board", "user": "alice"}]
    listed = await observer.call("members", {"room": "board", "limit": 1})
    assert listed == {"ok": True, "members": [{"id": "alice", "name": "alice"}], "next": "alice"}
    rest = await observer.call("members", {"room": "board", "cursor": "alice"})
    assert (rest["members"], rest["next"]) == ([{"id": "bob", "name": "Bob"}], None)
    for event in ("addMembers", "removeMembers"):
        denied = await observer.call(event, {"room": "board", "users": ["alice"]})
        assert denied["error"]["code"] == "forbidden"
    assert (await admin.call("removeMembers", {"room": "board", "users": ["alice"]}))["removed"] == ["alice"]
    assert await alice.next("left") == [{"room": "board", "user": "alice"}]


HOSTILE: list[Any] = [
    {}, [], {"members": []}, {"members": ["alice"]}, {"members": [{"id": ""}]}, {"members": [{"id": "a\0b"}]},
    {"members": [{"id": "a", "role": "admin"}]}, {"members": [{"id": "x" * 201}]}, {"users": ["alice"]},
    {"members": [{"id": f"u{number}"} for number in range(1001)]}, {"members": [{"id": "a", "name": ""}]},
]  # fmt: skip


async def test_hostile_requests_change_nothing(device: Device, backend: Backend) -> None:
    await backend.patch(BOARD, {"readOnly": True})
    for body in HOSTILE:
        assert await backend.post(BOARD + "/members", body) == (400, "invalid_payload"), body
    many = {"members": [{"id": f"user-number-{number}"} for number in range(100_000)]}
    assert await backend.post(BOARD + "/members", many) == (413, "too_large")
    for room in ("user:bob", "dm:a:b", "Zx0_aB3dE5gH7jK9mN1p", "a%0Ab", "a%20b", "x" * 900, "%F0%9F%92%A9"):
        path = f"/api/rooms/{room}"
        assert await backend.get(path) == (400, "invalid_payload"), room
        assert await backend.patch(path, {"readOnly": True}) == (400, "invalid_payload")
        assert await backend.post(path + "/members", {"members": [{"id": "a"}]}) == (400, "invalid_payload")
        assert await backend.delete(path + "/members/a") == (400, "invalid_payload")
    for query in ("cursor=", "cursor=a%00b", "limit=0", "limit=1001", "cursor=" + "x" * 1001, "cursor=a&cursor=b"):
        assert await backend.get(f"{BOARD}/members?{query}") == (400, "invalid_payload"), query
    assert (await backend.get(BOARD + "/members?cursor=%F0%9F%92%A9"))[1]["members"] == []
    assert await backend.delete(BOARD + "/members") == (400, "invalid_payload")
    assert await backend.get("/api/rooms/nowhere") == (404, "not_found")
    assert await backend.get("/api/rooms/nowhere/members") == (404, "not_found")
    admin = await device("root", "/admin", ("admin",))
    for room in ("x" * 1000, "a\nb", "user:bob", "dm:a:b"):
        for event in ("addMembers", "removeMembers"):
            refused = await admin.call(event, {"room": room, "users": ["alice"]})
            assert refused["error"]["code"] == "invalid_payload"
    too_many = {"room": "board", "users": [f"u{number}" for number in range(1001)]}
    assert (await admin.call("addMembers", too_many))["error"]["code"] == "invalid_payload"
    assert (await backend.get(BOARD + "/members"))[1]["members"] == []


async def test_only_backends_can_use_the_api(running: RtServer) -> None:
    user = Backend(running, running.token("alice", roles=("admin",)))
    assert await user.patch(BOARD, {"readOnly": True}) == (403, "forbidden")
    assert await user.post(BOARD + "/members", {"members": [{"id": "alice"}]}) == (403, "forbidden")
    service = Backend(running, running.token("shop", roles=("service",)))
    assert (await service.patch(BOARD, {"readOnly": True}))[0] == 200
