"""Presence in /chat."""

from tests.namespaces.conftest import Device


async def test_presence_follows_the_first_device_on_and_the_last_device_off(device: Device) -> None:
    alice, phone, carol = [await device(user, "/chat") for user in ("alice", "bob", "carol")]
    for client in (alice, phone):
        await client.call("join", {"room": "general"})
    laptop = await device("bob", "/chat")
    await phone.disconnect()
    assert await alice.call("online", {"users": ["bob", "nobody", "alice"]}) == {"ok": True, "online": ["bob", "alice"]}
    await laptop.disconnect()
    assert await alice.next("presence") == [{"user": "bob", "online": False}]
    assert (await alice.call("online", {"users": ["bob"]}))["online"] == []
    [bob] = [m for m in (await alice.call("members", {"room": "general"}))["members"] if m["id"] == "bob"]
    assert bob == {"id": "bob", "name": "Bob", "online": False, "here": False}
    await phone.connect()
    assert await alice.next("presence") == [{"user": "bob", "online": True}]
    assert len(alice.received("presence")) == 2
    await carol.call("online")
    assert not carol.received("presence"), "a stranger does not see who comes and goes"


async def test_direct_partners_see_each_other_come_online(device: Device) -> None:
    alice = await device("alice", "/chat")
    await alice.call("message", {"to": "bob", "text": "there?"})
    await device("bob", "/chat")
    assert await alice.next("presence") == [{"user": "bob", "online": True}]


async def test_online_without_users_covers_own_rooms_only(device: Device) -> None:
    alice, bob, carol = [await device(user, "/chat") for user in ("alice", "bob", "carol")]
    await alice.call("join", {"room": "general"})
    await bob.call("join", {"room": "general"})
    await carol.call("join", {"room": "elsewhere"})
    assert await alice.call("online") == {"ok": True, "online": ["alice", "bob"]}
    assert (await alice.call("online", {}))["online"] == ["alice", "bob"]
    assert (await carol.call("online", {}))["online"] == ["carol"]
