"""All of /notifications on two servers with one database and one Redis."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.namespaces.backend import Backend
from tests.namespaces.test_two_instances import ON_BOTH, Js, Pair, pair
from tests.support.js_client import JsClient

__all__ = ["pair"]


@ON_BOTH
async def test_two_servers_act_as_one_inbox(pair: Pair, js: Js) -> None:
    async def device(at: int, user: str, namespace: str = "/notifications") -> JsClient:
        return await js(pair[at].url, namespace, token=pair[at].token(user), transports=["websocket"])

    async def notify(at: int, type_: str, **more: Any) -> dict[str, Any]:
        body = {"user": "alice", "type": type_, "message": type_, **more}
        status, answer = await Backend(pair[at]).post("/api/notifications", body)
        assert status == 200, answer
        told: dict[str, Any] = answer["notifications"][0]
        return told

    phone, laptop = await device(0, "alice"), await device(1, "alice")

    # What is muted on one is muted when the other is asked.
    saved = (await phone.call("setPreferences", {"mutedTypes": ["ads"], "mutedRooms": ["noisy"]}))["preferences"]
    assert await laptop.next("preferences") == [saved]
    for at in (0, 1):
        assert (await notify(at, "ads"))["new"]
    bob, alice = await device(1, "bob", "/chat"), await device(0, "alice", "/chat")
    for room in ("noisy", "calm"):
        for client in (alice, bob):
            await client.call("join", {"room": room})
        await bob.call("message", {"room": room, "text": "hello @alice"})
    for mine in (phone, laptop):
        [mention] = await mine.next("notification")
        assert (mention["type"], mention["room"]) == ("mention", "calm")
        assert (await mine.call("unread"))["types"] == {"mention": 1}

    # And so are quiet hours.
    now = datetime.now(UTC)
    begin, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-3, 3))
    await laptop.call("setPreferences", {"quietHours": {"from": begin, "to": end, "timeZone": "UTC"}})
    await phone.next("preferences", where=lambda told: told["quietHours"] is not None)
    for at in (0, 1):
        await notify(at, "order")
        for mine in (phone, laptop):
            assert (await mine.next("notification"))[0]["silent"] is True
    await phone.call("setPreferences", {"quietHours": None, "mutedTypes": []})

    # A group grows, whoever adds to it.
    for count in (1, 2, 3):
        await notify(count % 2, "reply", groupKey="post")
        for mine in (phone, laptop):
            [reply] = await mine.next("notification")
            assert (reply["count"], "silent" in reply) == (count, False)

    # Seen, read and deleted on one is so on the other.
    counts = {"unread": 4, "unseen": 0}
    assert await laptop.call("seen", {"all": True}) == {"ok": True, **counts}
    assert await phone.next("seen") == [{"all": True, **counts}]
    assert (await phone.call("read", {"ids": [mention["id"]]}))["unread"] == 3
    assert await laptop.next("read") == [{"ids": [mention["id"]], "unread": 3, "unseen": 0}]
    assert (await laptop.call("delete", {"ids": [reply["id"]]}))["unread"] == 2
    assert (await phone.next("deleted"))[0]["unread"] == 2
    for mine in (phone, laptop):
        assert await mine.call("unread") == {"ok": True, "count": 2, "unseen": 0, "types": {"order": 2}}
    lists = [(await mine.call("list"))["notifications"] for mine in (phone, laptop)]
    assert lists[0] == lists[1]
    assert [one["type"] for one in lists[0]] == ["order", "order", "mention", "mention", "ads", "ads"]
