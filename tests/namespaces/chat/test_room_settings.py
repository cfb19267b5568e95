"""Room settings and their effects, as official JavaScript clients see them."""

from typing import Any

from tests.namespaces.chat.test_namespace import joined, settled
from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient

MOD = ("moderator",)


async def code(client: JsClient, event: str, payload: dict[str, Any]) -> str | None:
    answer = await client.call(event, payload)
    return None if answer["ok"] else str(answer["error"]["code"])


async def configured(client: JsClient, room: str, **changes: Any) -> dict[str, Any]:
    answer = await client.call("configure", {"room": room, **changes})
    assert answer["ok"], answer
    told: dict[str, Any] = answer["room"]
    return told


async def test_settings_changed_by_a_moderator_are_broadcast(device: Device) -> None:
    [alice, bob] = await joined(device, "alice", "bob")
    mod = await device("mod", "/chat", MOD)
    assert await code(mod, "configure", {"room": "general", "meta": {}}) == "room_not_joined"
    await mod.call("join", {"room": "general"})
    meta = {"title": "Everybody", "topic": "🌍"}
    told = await configured(mod, "general", meta=meta, slowSeconds=0)
    assert told == {
        "room": "general", "policy": "open", "meta": meta, "readOnly": False, "slowSeconds": None,
        "keepSeconds": None, "keepCount": None, "firstSeq": 1, "lastSeq": 0, "rev": 0,
    }  # fmt: skip
    for client in (alice, bob):
        assert await client.next("roomChanged") == [told]
    assert (await bob.call("room", {"room": "general"}))["room"] == told
    [summary] = (await bob.call("rooms"))["rooms"]
    assert (summary["meta"], summary["policy"]) == (meta, "open")
    assert await configured(mod, "general", meta=meta) == told
    await settled(alice, mod)
    assert len(alice.received("roomChanged")) == 1
    assert not mod.received("roomChanged")
    assert (await configured(mod, "general", meta=None))["meta"] is None


async def test_a_read_only_room_allows_reading_reactions_and_moderators(device: Device) -> None:
    [alice] = await joined(device, "alice")
    mod = await device("mod", "/chat", MOD)
    await mod.call("join", {"room": "general"})
    own = (await alice.call("message", {"room": "general", "text": "mine"}))["message"]
    await configured(mod, "general", readOnly=True)
    assert await code(alice, "message", {"room": "general", "text": "x"}) == "forbidden"
    assert await code(alice, "edit", {"room": "general", "id": own["id"], "text": "x"}) == "forbidden"
    news = await mod.call("message", {"room": "general", "text": "News"})
    thumb = {"room": "general", "id": news["message"]["id"], "emoji": "👍", "on": True}
    assert await code(alice, "react", thumb) is None
    assert await code(alice, "delete", {"room": "general", "id": own["id"]}) is None
    assert await code(alice, "history", {"room": "general"}) is None
    await configured(mod, "general", readOnly=False)
    assert await code(alice, "message", {"room": "general", "text": "x"}) is None


async def test_slow_mode_applies_to_all_devices_but_not_to_moderators(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    mod = await device("mod", "/chat", MOD)
    await mod.call("join", {"room": "general"})
    await configured(mod, "general", slowSeconds=3600)
    first = await phone.call("message", {"room": "general", "text": "one", "nonce": "n1"})
    for client in (phone, laptop):
        error = (await client.call("message", {"room": "general", "text": "two"}))["error"]
        assert error["code"] == "rate_limited"
        assert 3500 < error["retryAfter"] <= 3600
    assert await laptop.call("message", {"room": "general", "text": "one", "nonce": "n1"}) == first
    assert await code(phone, "edit", {"room": "general", "id": first["message"]["id"], "text": "1"}) is None
    assert await code(phone, "message", {"to": "bob", "text": "direct"}) is None
    assert await code(bob, "message", {"room": "general", "text": "mine"}) is None
    for _ in range(2):
        assert await code(mod, "message", {"room": "general", "text": "calm"}) is None


async def test_only_the_role_gives_access_to_its_rooms(device: Device) -> None:
    [alice] = await joined(device, "alice")
    staff, admin = await device("sue", "/chat", ("staff",)), await device("root", "/chat", ("admin",))
    await staff.call("join", {"room": "general"})
    await alice.call("message", {"room": "general", "text": "secret"})
    await configured(admin, "general", policy="role:staff")
    assert await alice.next("left") == [{"room": "general", "user": "alice"}]
    place = {"room": "general"}
    for event, payload in (
        ("join", place), ("room", place), ("history", place), ("members", place), ("read", {**place, "seq": 1}),
    ):  # fmt: skip
        assert await code(alice, event, payload) == "forbidden", event
    for event, payload in (("message", {**place, "text": "x"}), ("typing", {**place, "typing": True})):
        assert await code(alice, event, payload) == "room_not_joined", event
    assert "error" in (await alice.call("sync", {"rooms": {"general": 0}}))["rooms"]["general"]
    assert (await alice.call("rooms"))["rooms"] == []
    assert (await alice.call("search", {"query": "secret"}))["messages"] == []
    assert len((await staff.call("search", {"query": "secret"}))["messages"]) == 1
    assert await code(staff, "message", {**place, "text": "ours"}) is None
    assert [one["policy"] for one in (await staff.call("rooms"))["rooms"]] == ["role:staff"]
    await settled(alice)
    assert len(alice.received("message")) == 0
    old_token = await device("sue", "/chat")
    assert await code(old_token, "join", place) == "forbidden"


async def test_users_without_a_role_cannot_configure_or_view_closed_rooms(device: Device) -> None:
    [alice] = await joined(device, "alice")
    admin = await device("root", "/chat", ("admin",))
    assert await code(alice, "configure", {"room": "general", "readOnly": True}) == "forbidden"
    await configured(admin, "board", policy="members")
    assert await code(alice, "room", {"room": "board"}) == "forbidden"
    assert await code(alice, "join", {"room": "board"}) == "forbidden"
    assert await code(alice, "room", {"room": "nowhere"}) == "not_found"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


async def test_null_resets_a_setting_to_its_default(device: Device) -> None:
    admin = await device("root", "/chat", ("admin",))
    given = {
        "policy": "members",
        "meta": {"a": 1},
        "readOnly": True,
        "slowSeconds": 5.0,
        "keepSeconds": 60,
        "keepCount": 5,
    }
    assert (await configured(admin, "general", **given)).items() >= given.items()
    defaults = {**dict.fromkeys(given), "policy": "open", "readOnly": False}
    assert (await configured(admin, "general", **dict.fromkeys(given))).items() >= defaults.items()


async def test_hostile_settings_and_names_are_rejected(device: Device) -> None:
    admin = await device("root", "/chat", ("admin",))
    before = await configured(admin, "general", meta={"title": "x"})
    for changes in (
        {"policy": "closed"}, {"policy": "role:"}, {"policy": "role:a b"}, {"policy": "role:a\n"}, {"policy": 1},
        {"policy": "role:" + "x" * 101}, {"meta": []}, {"meta": "x"}, {"readOnly": 1},
        {"slowSeconds": -1}, {"slowSeconds": 1e9}, {"slowSeconds": 1.5}, {"keepSeconds": 0}, {"keepCount": 2**53},
        {"keepCount": "5"},
    ):  # fmt: skip
        assert await code(admin, "configure", {"room": "general", **changes}) == "invalid_payload", changes
    for meta in ({"a": "x" * 4096}, nested(60) | {"b": "ü" * 2000}):
        assert await code(admin, "configure", {"room": "general", "meta": meta}) == "too_large"
    for room in ("", "x" * 10_000, "a\nb", "a\0b", "user:bob", "dm:a:b", "dm:root:root", "a b", "Zx0_aB3dE5gH7jK9mN1p"):
        for event in ("configure", "room"):
            assert await code(admin, event, {"room": room}) == "invalid_payload", (event, room)
    assert (await admin.call("room", {"room": "general"}))["room"] == before


async def test_a_moderator_sees_the_rooms_that_the_moderator_may_join_and_an_admin_all(device: Device) -> None:
    mod, admin = await device("mod", "/chat", ("moderator",)), await device("root", "/chat", ("admin",))
    staff = await device("sue", "/chat", ("moderator", "staff"))
    for room, policy in (("board", "members"), ("staff", "role:staff"), ("open", "open")):
        await configured(admin, room, policy=policy, meta={"title": "secret"})
    refused = {"board": "forbidden", "staff": "forbidden", "open": None}
    for room, expected in refused.items():
        assert await code(mod, "room", {"room": room}) == expected, room
        for event in ("join", "history", "members", "configure"):
            assert event == "join" or await code(mod, event, {"room": room}) is not None, (room, event)
        assert await code(admin, "room", {"room": room}) is None
    assert await code(staff, "room", {"room": "staff"}) is None
    assert await code(staff, "room", {"room": "board"}) == "forbidden"
    assert await code(mod, "configure", {"room": "board", "meta": None}) == "room_not_joined"


async def test_after_the_loss_of_a_role_nothing_of_the_room_is_shown(device: Device) -> None:
    alice, _ = await joined(device, "alice", "sue")
    inbox, admin = await device("alice", "/notifications"), await device("root", "/chat", ("admin",))
    staff = await device("sue", "/chat", ("staff",))
    await configured(admin, "general", policy="role:staff")
    await staff.call("join", {"room": "general"})
    assert (await alice.call("online"))["online"] == []
    assert (await staff.call("online"))["online"] == ["alice", "sue"]
    await staff.call("message", {"room": "general", "text": "@alice the secret"})
    [note] = await inbox.next("notification")
    assert note["message"] == "Sue mentioned you"
    assert "secret" not in str(note)
    await staff.call("message", {"to": "alice", "text": "@alice the password"})
    [note] = await inbox.next("notification")
    assert note["message"] == "Sue: @alice the password"
    assert (await alice.call("online"))["online"] == ["alice", "sue"], "they share a conversation"
