"""Durability: no acked message is lost."""

import asyncio

from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient, JsError
from tests.support.rtserver_process import RtServer


async def test_every_acked_message_survives_kill_9(device: Device, running: RtServer) -> None:
    senders = [await device(user, "/chat") for user in ("alice", "bob", "carol")]
    for client in senders:
        await client.call("join", {"room": "general"})
    acked: list[str] = []

    async def talk(client: JsClient) -> None:
        for number in range(10_000):
            try:
                ack = await client.call("message", {"room": "general", "text": str(number)})
            except JsError:
                return
            acked.append(ack["message"]["id"])
            if len(acked) == 100:
                await running.kill()
                for each in talking:
                    each.cancel()  # what it sends now would be answered after the restart

    talking = [asyncio.create_task(talk(client)) for client in senders]
    for end in await asyncio.gather(*talking, return_exceptions=True):
        assert end is None or isinstance(end, asyncio.CancelledError), end
    await running.restart()

    reader = await device("alice", "/chat")
    kept: list[dict[str, object]] = []
    more = True
    while more:
        after = kept[-1]["seq"] if kept else 0
        page = await reader.call("history", {"room": "general", "after": after, "limit": 100})
        kept += page["messages"]
        more = page["more"]
    assert len(acked) >= 100
    assert set(acked) <= {message["id"] for message in kept}
    assert [message["seq"] for message in kept] == list(range(1, len(kept) + 1))


async def test_after_a_restart_a_member_continues(device: Device, running: RtServer) -> None:
    alice, bob = await device("alice", "/chat"), await device("bob", "/chat")
    for client in (alice, bob):
        await client.call("join", {"room": "general"})
    await bob.call("message", {"room": "general", "text": "before", "nonce": "n1"})
    await alice.call("read", {"room": "general", "seq": 1})
    await running.restart()
    for client in (alice, bob):
        await client.connected()
    again = await bob.call("message", {"room": "general", "text": "before", "nonce": "n1"})
    assert again["error"]["code"] == "room_not_joined", "a new connection joins again"
    ack = await alice.call("join", {"room": "general"})
    assert ack["lastRead"] == 1
    assert [m["text"] for m in ack["messages"]] == ["before"]
    await bob.call("join", {"room": "general"})
    assert (await bob.call("message", {"room": "general", "text": "x", "nonce": "n1"}))["message"]["seq"] == 1
    assert (await bob.call("message", {"room": "general", "text": "after"}))["message"]["seq"] == 2
