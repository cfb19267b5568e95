"""Unmodified clients and the real process: authentication and chat over every transport."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import socketio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TRANSPORTS = [["polling", "websocket"], ["polling"], ["websocket"]]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-then-".join)
async def test_only_valid_tokens_connect(server, js, transports):
    s = await server()

    async def refusal(token: str | None) -> dict[str, Any]:
        client = await js(s.url, "/chat", token=token, transports=transports, reconnection=False, wait=False)
        return await client.connect_error()

    def told(code: str) -> dict[str, Any]:
        return {"message": "Auth failed", "data": {"code": code}}

    alice = await js(s.url, "/chat", token=s.token("alice", "Alice"), transports=transports)
    if len(transports) > 1:
        await alice.upgraded()
    assert (await alice.call("join", {"room": "lobby"}))["ok"]
    assert alice.transport == transports[-1]

    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert await refusal(None) == told("token_missing")
    assert await refusal(s.token("alice", ttl=-600)) == told("token_expired")
    assert await refusal(s.token("alice", nbf=time.time() + 600)) == told("token_not_yet_valid")
    assert await refusal(s.token("alice", key="x" * 64)) == told("token_invalid")
    assert await refusal(s.token("alice", alg="none")) == told("token_invalid")
    assert await refusal(s.token("alice", key=pem, alg="RS256")) == told("token_invalid")
    assert await refusal("no token at all") == told("token_invalid")
    assert (await alice.call("message", {"room": "lobby", "text": "still here"}))["ok"]


async def test_only_admins_join_admin_and_unknown_namespaces_are_refused(server, js):
    s = await server()
    user = await js(s.url, "/admin", token=s.token("alice"), reconnection=False, wait=False)
    assert await user.connect_error() == {"message": "Unauthorized", "data": {"code": "forbidden"}}
    admin = await js(s.url, "/admin", token=s.token("root", roles=("admin",)))
    assert (await admin.next("welcome"))[0]["role"] == "admin"
    nobody = await js(s.url, "/nowhere", token=s.token("alice"), reconnection=False, wait=False)
    assert (await nobody.connect_error())["message"] == "Invalid namespace"
    default = await js(s.url, "/", token=s.token("alice"), reconnection=False, wait=False)
    assert (await default.connect_error())["message"] == "Invalid namespace"


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-then-".join)
async def test_the_python_client_chats_with_the_javascript_client(server, js, transports):
    s = await server()
    alice = await js(s.url, "/chat", token=s.token("alice", "Alice"))
    await alice.call("join", {"room": "lobby"})
    bob = socketio.AsyncClient()
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    bob.on("message", heard.put, namespace="/chat")
    await bob.connect(s.url, auth={"token": s.token("bob", "Bob")}, namespaces=["/chat"], transports=transports)
    try:
        joined = await bob.call("join", {"room": "lobby"}, namespace="/chat")
        assert {member["id"] for member in joined["members"]} == {"alice", "bob"}
        sent = await alice.call("message", {"room": "lobby", "text": "Hello, Bob"})
        assert await asyncio.wait_for(heard.get(), 10) == sent["message"]
        answer = await bob.call("message", {"room": "lobby", "text": "Hello, Alice"}, namespace="/chat")
        assert await alice.next("message") == [answer["message"]]
    finally:
        await bob.disconnect()


async def test_the_python_client_gets_the_reason_of_a_refusal(server):
    s = await server()
    bob = socketio.AsyncClient(reconnection=False)
    told: asyncio.Queue[Any] = asyncio.Queue()
    bob.on("connect_error", told.put, namespace="/chat")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await bob.connect(s.url, auth={"token": s.token("bob", ttl=-600)}, namespaces=["/chat"])
    assert await asyncio.wait_for(told.get(), 10) == {"message": "Auth failed", "data": {"code": "token_expired"}}
    await bob.disconnect()
