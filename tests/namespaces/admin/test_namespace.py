"""/admin: what admins and observers can read and do, and what they cannot."""

from collections.abc import Awaitable, Callable

from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer


async def test_a_user_without_role_is_rejected(running: RtServer, js: Callable[..., Awaitable[JsClient]]) -> None:
    client = await js(running.url, "/admin", token=running.token("alice"), wait=False)
    assert await client.connect_error() == {"message": "Unauthorized", "data": {"code": "forbidden"}}
    assert not client.received("welcome")


async def test_an_admin_receives_welcome_and_statistics(device: Device) -> None:
    await device("alice", "/chat")
    admin = await device("root", "/admin", ("admin",))
    [welcome] = await admin.next("welcome")
    assert (welcome["role"], welcome["server"]) == ("admin", "rtserver")
    assert welcome["version"]
    [stats] = await admin.next("stats")
    [instance] = stats["instances"]
    assert instance["instance"] == welcome["instance"]
    assert instance["connections"] == stats["total"]["connections"] == {"/chat": 1, "/admin": 1}
    assert instance["memory"] > 1_000_000
    assert set(instance) == {
        "instance", "connections", "eventsIn", "eventsOut", "p50", "p99", "loopLag", "memory", "redisRoundTrip",
        "slowClients", "rejections", "recentP50", "recentP99",
    }  # fmt: skip


async def test_an_admin_finds_clients(device: Device, running: RtServer) -> None:
    phone, _ = await device("alice", "/chat"), await device("alice", "/notifications")
    bob = await device("bob", "/chat", transports=["polling"])
    await bob.call("join", {"room": "general"})
    admin = await device("root", "/admin", ("admin",))

    async def found(**wanted: object) -> set[tuple[str, str]]:
        clients = (await admin.call("clients", wanted))["clients"]
        return {(client["user"], client["namespace"]) for client in clients}

    assert await found(user="alice") == {("alice", "/chat"), ("alice", "/notifications")}
    assert await found(namespace="/chat") == {("alice", "/chat"), ("bob", "/chat")}
    assert await found(room="general") == {("bob", "/chat")}
    assert await found(room="general", user="alice") == set()
    assert len(await found()) == 4
    [client] = (await admin.call("clients", {"room": "general"}))["clients"]
    assert client["sid"] == bob.id
    assert client["rooms"] == ["general", "user:bob"]
    assert (client["transport"], client["address"]) == ("polling", "127.0.0.1")
    assert client["since"].endswith("Z")
    everything = str(await admin.call("clients", {}))
    assert "token" not in everything
    assert phone.id
    assert phone.id in everything


async def test_a_long_list_of_clients_comes_in_pages(device: Device) -> None:
    ids = {(await device(f"user{number}", "/chat")).id for number in range(7)}
    admin = await device("root", "/admin", ("admin",))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await admin.call("clients", {"namespace": "/chat", "limit": 3, **cursor})
        seen += [client["sid"] for client in page["clients"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(seen) == 7
    assert set(seen) == ids


async def test_rooms_are_listed_without_the_private_ones_of_sockets(device: Device) -> None:
    alice = await device("alice", "/chat")
    await alice.call("join", {"room": "general"})
    admin = await device("root", "/admin", ("admin",))
    ack = await admin.call("rooms", {"namespace": "/chat"})
    assert ack == {"ok": True, "rooms": ["general", "user:alice"], "next": None}
    ack = await admin.call("rooms", {"namespace": "/chat", "limit": 1})
    assert ack == {"ok": True, "rooms": ["general"], "next": "general"}
    ack = await admin.call("rooms", {"namespace": "/chat", "limit": 1, "cursor": "general"})
    assert ack == {"ok": True, "rooms": ["user:alice"], "next": None}
    assert (await admin.call("rooms", {"namespace": "/nowhere"}))["error"]["code"] == "not_found"


async def test_kicking_a_user_closes_all_connections_of_the_user(device: Device) -> None:
    phone, inbox = await device("alice", "/chat"), await device("alice", "/notifications")
    bob = await device("bob", "/chat")
    admin = await device("root", "/admin", ("admin",))
    assert await admin.call("kick", {"user": "alice", "reason": "spam"}) == {"ok": True, "disconnected": 2}
    for client in (phone, inbox):
        assert await client.disconnected() == "io server disconnect"
    [entry] = await admin.next("log")
    assert (entry["event"], entry["by"], entry["user"], entry["reason"]) == ("kick", "root", "alice", "spam")
    assert (await admin.call("kick", {"user": "alice"}))["disconnected"] == 0
    assert bob.is_connected


async def test_kicking_one_socket_keeps_the_others(device: Device) -> None:
    phone, laptop = await device("alice", "/chat"), await device("alice", "/chat")
    admin = await device("root", "/admin", ("admin",))
    assert (await admin.call("kick", {"sid": phone.id}))["disconnected"] == 1
    await phone.disconnected()
    assert (await laptop.call("online"))["ok"]
    assert (await admin.call("kick", {"sid": phone.id}))["error"]["code"] == "not_found"


async def test_a_room_name_cannot_be_kicked_as_a_socket(device: Device) -> None:
    admin, alice = await device("root", "/admin", ("admin",)), await device("alice", "/chat")
    assert (await alice.call("join", {"room": "general"}))["ok"]
    for name in ("general", "user:alice"):
        assert (await admin.call("kick", {"sid": name}))["error"]["code"] == "not_found"
    assert (await alice.call("online", {"users": []}))["ok"]


async def test_an_announcement_reaches_all_clients_of_the_given_namespaces(device: Device) -> None:
    chat, inbox = await device("alice", "/chat"), await device("bob", "/notifications")
    admin = await device("root", "/admin", ("admin",))
    news = {"text": "Maintenance at noon"}
    payload = {"namespaces": ["/chat", "/notifications", "/chat"], "event": "announcement", "data": news}
    assert await admin.call("announce", payload) == {"ok": True}
    for client in (chat, inbox):
        assert await client.next("announcement") == [news]
    assert len(chat.received("announcement")) == 1
    unknown = await admin.call("announce", payload | {"namespaces": ["/chat", "/nowhere"]})
    assert unknown["error"]["code"] == "not_found"
    for reserved in ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"):
        ack = await admin.call("announce", payload | {"event": reserved})
        assert ack["error"]["code"] == "invalid_payload"
    await chat.call("online")
    assert len(chat.received("announcement")) == 1


async def test_an_observer_can_read_but_not_act(device: Device) -> None:
    alice = await device("alice", "/chat")
    observer = await device("eve", "/admin", ("observer",))
    [welcome] = await observer.next("welcome")
    assert welcome["role"] == "observer"
    assert (await observer.call("clients"))["ok"]
    assert (await observer.call("rooms", {"namespace": "/chat"}))["ok"]
    await observer.next("stats")
    for event, payload in (
        ("kick", {"user": "alice"}),
        ("announce", {"namespaces": ["/chat"], "event": "x", "data": 1}),
    ):
        assert (await observer.call(event, payload))["error"]["code"] == "forbidden"
    assert (await alice.call("online"))["ok"]
