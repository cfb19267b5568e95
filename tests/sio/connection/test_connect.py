"""Admission to a namespace; a client that is refused leaves no trace."""

from __future__ import annotations

import asyncio
import time

import pytest

from rtserver.errors import Forbidden, Refused
from rtserver.sio.namespace.namespace import Namespace
from tests.sio.conftest import Tokens, eventually


class Door(Namespace, path="/"):
    auth = "none"

    def __init__(self, act=None):
        self.act = act
        self.seen = []
        self.gate = asyncio.Event()

    async def on_connect(self, client):
        self.seen.append("connect")
        if self.act is not None:
            await self.act(self, client)

    async def on_connected(self, client):
        self.seen.append("connected")

    async def on_disconnect(self, client, reason):
        self.seen.append(f"disconnect {reason}")


def raising(error):
    async def act(namespace, client):
        await client.join("room")
        await client.emit("early")
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (Refused("No", code="closed", until=5), {"message": "No", "data": {"code": "closed", "until": 5}}),
        (Refused(), {"message": "Connection refused"}),
        (Forbidden("Not you"), {"message": "Not you", "data": {"code": "forbidden"}}),
        (RuntimeError("a secret"), {"message": "Internal error", "data": {"code": "internal"}}),
        (ConnectionRefusedError("x"), {"message": "Internal error", "data": {"code": "internal"}}),
        (asyncio.CancelledError(), {"message": "Internal error", "data": {"code": "internal"}}),
        (TimeoutError(), {"message": "Internal error", "data": {"code": "internal"}}),
        (RecursionError(), {"message": "Internal error", "data": {"code": "internal"}}),
        (Refused("No", code="x", what=object()), {"message": "Connection refused"}),
    ],
)
async def test_any_exception_of_a_connect_handler_refuses_and_leaves_no_trace(serve, raw, error, answer):
    door = Door(raising(error))
    served = await serve(door)
    client = await raw(served.url)
    assert await client.refused() == answer
    assert door.seen == ["connect"]
    assert set(served.traces()) == {"connections"}
    # The connection is still usable, and no event emitted to the refused client arrives.
    door.act = None
    await client.connect()
    await client.close()
    await served.deserted()


async def test_javascript_sees_the_message_and_the_data_of_a_refusal(serve, js):
    served = await serve(Door(raising(Refused("Full", code="full", retryAfter=3))))
    client = await js(served.url, "/", wait=False)
    assert await client.connect_error() == {"message": "Full", "data": {"code": "full", "retryAfter": 3}}
    assert client.received("early") == []


async def test_what_a_connect_handler_emits_arrives_after_connect_and_in_order(serve, raw):
    async def act(namespace, client):
        await client.emit("one")
        await client.emit("two", b"x")
        await namespace.server.emit("three", to=client.id)

    served = await serve(Door(act))
    client = await raw(served.url)
    await client.connect()
    assert [await client.receive() for _ in range(4)] == [
        '2["one"]', '51-["two",{"_placeholder":true,"num":0}]', b"x", '2["three"]',
    ]  # fmt: skip


async def test_broadcasts_skip_a_client_that_is_not_accepted_yet(serve, raw):
    async def act(namespace, client):
        await client.join("room")
        await namespace.gate.wait()

    door = Door(act)
    served = await serve(door)
    client = await raw(served.url)
    await client.send("0")
    await eventually(lambda: door.seen)
    await door.emit("all")
    await door.to("room").emit("room")
    assert await door.fetch_sockets() == []
    assert not door.clients
    assert await door.all_rooms() == set()
    door.gate.set()
    assert str(await client.receive()).startswith('0{"sid"')
    await door.to("room").emit("room", "now")
    assert await client.receive() == '2["room","now"]'


async def test_on_connected_comes_after_connect_and_before_the_first_event(serve, raw):
    served = await serve(door := Door())
    client = await raw(served.url)
    await client.connect()
    await client.close()
    await served.deserted()
    assert door.seen == ["connect", "connected", "disconnect transport close"]


async def test_a_client_that_leaves_during_its_connect_handler_leaves_no_trace(serve, raw):
    async def act(namespace, client):
        await client.join("room")
        await namespace.gate.wait()

    door = Door(act)
    served = await serve(door)
    client = await raw(served.url)
    await client.send("0")
    await eventually(lambda: door.seen)
    await client.close()
    await eventually(lambda: not served.server.connections)
    door.gate.set()
    await served.deserted()
    assert door.seen == ["connect", "disconnect transport close"]


async def test_a_client_that_leaves_during_authentication_reaches_no_handler(serve, raw):
    gate, asked = asyncio.Event(), asyncio.Event()

    class SlowTokens:
        async def authenticate(self, handshake):
            asked.set()
            await gate.wait()

    door = Door()
    Door.auth = "optional"
    try:
        served = await serve(door, authenticator=SlowTokens())
    finally:
        Door.auth = "none"
    client = await raw(served.url)
    await client.send("0")
    await asked.wait()
    await client.close()
    await eventually(lambda: not served.server.connections)
    gate.set()
    await served.deserted()
    assert door.seen == []


async def test_a_connect_handler_that_hangs_is_cancelled(serve, raw):
    async def act(namespace, client):
        await client.join("room")
        await asyncio.Event().wait()

    served = await serve(Door(act), connect_timeout=0.05)
    client = await raw(served.url)
    assert await client.refused() == {"message": "Timed out", "data": {"code": "timeout"}}
    assert await client.closed() == []
    await served.deserted()


async def test_a_connection_that_joins_nothing_is_closed(serve, raw):
    served = await serve(Door(), connect_timeout=0.1)
    idle, refused, joined = [await raw(served.url) for _ in range(3)]
    await refused.refused("/nowhere")
    await joined.connect()
    assert await idle.closed() == []
    assert await refused.closed() == []
    assert len(served.server.connections) == 1


async def test_a_client_disconnected_by_its_own_connect_handler_is_refused(serve, raw):
    async def act(namespace, client):
        await client.disconnect()

    served = await serve(door := Door(act))
    client = await raw(served.url)
    assert await client.refused() == {"message": "Disconnected by the server"}
    assert door.seen == ["connect"]
    assert set(served.traces()) == {"connections"}


async def test_a_connection_closed_by_its_own_connect_handler_is_closed(serve, raw):
    async def act(namespace, client):
        await client.disconnect(close=True)

    served = await serve(Door(act))
    client = await raw(served.url)
    await client.send("0")
    assert all(str(message).startswith("4") for message in await client.closed())
    await served.deserted()


# Identity.


class Required(Door, path="/required"):
    auth = "required"


class Optional(Door, path="/optional"):
    auth = "optional"


class Without(Door, path="/none"):
    auth = "none"


class Staff(Door, path="/staff"):
    auth = "required"
    roles = frozenset({"admin", "observer"})


def auth_failed(code):
    return {"message": "Auth failed", "data": {"code": code}}


@pytest.mark.parametrize(
    ("namespace", "auth", "answer"),
    [
        ("/required", None, auth_failed("token_missing")),
        ("/required", {}, auth_failed("token_missing")),
        ("/required", {"token": "bad"}, auth_failed("token_invalid")),
        ("/required", {"token": ["x"]}, auth_failed("token_invalid")),
        ("/required", {"token": "boom"}, auth_failed("unavailable")),
        ("/required", {"token": "alice"}, "alice"),
        ("/optional", None, None),
        ("/optional", {"token": "bad"}, auth_failed("token_invalid")),
        ("/optional", {"token": "boom"}, auth_failed("unavailable")),
        ("/optional", {"token": "alice"}, "alice"),
        ("/none", {"token": "alice"}, None),
        ("/none", {"token": "boom"}, None),
        ("/staff", None, auth_failed("token_missing")),
        ("/staff", {"token": "alice"}, {"message": "Unauthorized", "data": {"code": "forbidden"}}),
        ("/staff", {"token": "alice:user,other"}, {"message": "Unauthorized", "data": {"code": "forbidden"}}),
        ("/staff", {"token": "alice:user,observer"}, "alice"),
    ],
)
async def test_the_identity_and_its_roles_decide_about_admission(serve, raw, namespace, auth, answer):
    found = []

    async def act(namespace, client):
        found.append((client.identity.user, set(client.rooms)) if client.identity else None)

    served = await serve(*(kind(act) for kind in (Required, Optional, Without, Staff)), authenticator=Tokens())
    client = await raw(served.url)
    if isinstance(answer, dict):
        assert await client.refused(namespace, auth) == answer
        assert served.server._clients == {}
        return
    sid = await client.connect(namespace, auth)
    assert found == [(answer, {f"user:{answer}"}) if answer else None]
    if answer:
        await served.server.of(namespace).to(f"user:{answer}").emit("hello")
        assert await client.receive() == f'2{namespace},["hello"]'
    assert served.server.find(sid, namespace)
    assert served.server.find(sid, "/") is None


async def test_without_an_authenticator_a_namespace_that_requires_an_identity_is_closed(serve, raw):
    served = await serve(Required())
    client = await raw(served.url)
    assert await client.refused("/required", {"token": "alice"}) == auth_failed("token_missing")


async def test_a_token_of_one_namespace_does_not_open_another_on_the_same_connection(serve, raw):
    served = await serve(Required(), Staff(), authenticator=Tokens())
    client = await raw(served.url)
    await client.connect("/required", {"token": "alice:admin"})
    assert await client.refused("/staff") == auth_failed("token_missing")


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"auth": "requierd"}, "auth is"),
        ({"auth": True}, "auth is"),
        ({"roles": "admin"}, "roles is a set"),
        ({"roles": frozenset({"admin"}), "auth": "optional"}, "roles need auth"),
        ({"roles": frozenset({"admin"}), "auth": "none"}, "roles need auth"),
        ({"path": "x"}, "slash"),
        ({"path": "/a,b"}, "no client can name"),
        ({"path": "/" + "x" * 300}, "no client can name"),
        ({"path": None}, "has no path"),
    ],
)
async def test_an_unsafe_namespace_definition_is_rejected_at_once(serve, attributes, fault):
    wrong = type("Wrong", (Namespace,), {"path": "/x", **attributes})
    with pytest.raises(ValueError, match=fault):
        await serve(wrong())


async def test_two_namespaces_cannot_have_one_path(serve):
    with pytest.raises(ValueError, match="two namespaces claim /"):
        await serve(Door(), Door())


# Expiry.


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_connection_is_closed_when_the_identity_expires_and_a_new_token_is_accepted(serve, js, transport):
    tokens = Tokens(expires_in=0.3)
    served = await serve(Required(), authenticator=tokens)
    client = await js(
        served.url, "/required", token="alice", transports=[transport], reconnectionDelay=10, randomizationFactor=0
    )
    first = client.id
    tokens._expires_in = 3600
    await client.set_auth(token="alice")
    assert await client.disconnected() in ("transport close", "transport error")
    await client.connected()
    assert client.id != first
    await eventually(lambda: len(served.server._clients) == 1)


async def test_the_first_identity_that_expires_closes_the_connection(serve, raw):
    tokens = Tokens(expires_in=3600)
    served = await serve(Required(), Optional(), Without(), authenticator=tokens)
    client, long = await raw(served.url), await raw(served.url)
    await client.connect("/required", {"token": "alice"})
    await long.connect("/required", {"token": "bob"})
    await client.connect("/none")
    tokens._expires_in = 0.1
    await client.connect("/optional", {"token": "alice"})
    assert await client.closed() == []
    await eventually(lambda: len(served.server.connections) == 1)


async def test_an_expired_token_is_accepted_within_the_leeway(serve, raw):
    served = await serve(Required(), authenticator=Tokens(expires_in=-1), identity_leeway=1.3)
    client = await raw(served.url)
    started = time.time()
    await client.connect("/required", {"token": "alice"})
    assert await client.closed() == []
    assert time.time() - started >= 0.25


async def test_an_identity_that_never_expires_needs_no_timer(serve, raw):
    served = await serve(Required(), authenticator=Tokens())
    client = await raw(served.url)
    await client.connect("/required", {"token": "alice"})
    (connection,) = served.server.connections.values()
    assert not connection._deadline.is_set


async def test_an_identity_that_expires_after_its_client_left_closes_nothing(serve, raw):
    tokens = Tokens(expires_in=0.1)
    served = await serve(Required(), Without(), authenticator=tokens)
    client = await raw(served.url)
    await client.connect("/none")
    await client.connect("/required", {"token": "alice"})
    await client.send("1/required,")
    (connection,) = served.server.connections.values()
    await eventually(lambda: not connection._deadline.is_set)
    assert not connection.closed
