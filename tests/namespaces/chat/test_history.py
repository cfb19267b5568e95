"""History: pages through 250 messages."""

from tests.namespaces.conftest import Device


async def test_history_pages_back_to_the_first_message_and_forward_to_the_last(device: Device) -> None:
    alice = await device("alice", "/chat")
    await alice.call("join", {"room": "general"})
    for number in range(1, 251):
        assert (await alice.call("message", {"room": "general", "text": f"#{number}"}))["ok"]

    back: list[int] = []
    page = await alice.call("history", {"room": "general"})
    sizes = []
    while True:
        sizes.append(len(page["messages"]))
        back = [m["seq"] for m in page["messages"]] + back
        if not page["more"]:
            break
        page = await alice.call("history", {"room": "general", "before": back[0], "limit": 75})
    assert sizes == [50, 75, 75, 50]
    assert back == list(range(1, 251))

    forward: list[int] = []
    more = True
    while more:
        page = await alice.call("history", {"room": "general", "after": forward[-1] if forward else 0, "limit": 100})
        forward += [m["seq"] for m in page["messages"]]
        more = page["more"]
    assert forward == list(range(1, 251))
    assert page["messages"][-1]["text"] == "#250"
    beyond = await alice.call("history", {"room": "general", "after": 250})
    assert beyond == {"ok": True, "messages": [], "more": False}


async def test_an_empty_room_has_an_empty_history(device: Device) -> None:
    alice = await device("alice", "/chat")
    ack = await alice.call("join", {"room": "quiet"})
    assert (ack["messages"], ack["lastRead"]) == ([], 0)
    assert await alice.call("history", {"room": "quiet"}) == {"ok": True, "messages": [], "more": False}
    assert await alice.call("history", {"to": "nobody"}) == {"ok": True, "messages": [], "more": False}
