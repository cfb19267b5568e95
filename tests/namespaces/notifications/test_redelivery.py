"""Receipts and redelivery: acks of devices on the same server or another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Js = Callable[..., Awaitable[JsClient]]
Open = Callable[..., Awaitable[JsClient]]
Ask = Callable[..., Awaitable[Any]]
INBOX = "/notifications"


@pytest.fixture
async def pair(server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer) -> tuple[RtServer, RtServer]:
    """Two servers that repeat unacked pushes soon."""
    settings = {"REDIS_URL": redis_server.url, "RATE_EVENTS": "100000/s", "RECEIPT_TIMEOUT": 0.2}
    first = await server(**settings)
    return first, await server(**settings, DATABASE_URL=first.env["RTSERVER_DATABASE_URL"], migrate=False)


@pytest.fixture
def open_device(pair: tuple[RtServer, RtServer], js: Js) -> Open:
    """`await open_device(0, "alice", "phone")`: to the first server; None: without a device name."""

    async def connect(at: int, user: str, name: Any = None, **options: Any) -> JsClient:
        auth = {} if name is None else {"device": name}
        token = pair[at].token(user)
        return await js(pair[at].url, INBOX, token=token, auth=auth, transports=["websocket"], **options)

    return connect


@pytest.fixture
def ask(pair: tuple[RtServer, RtServer]) -> Ask:
    """`await ask("POST", "notifications", user=…)`: to the first server, as a backend."""

    async def request(method: str, path: str, status: int = 200, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {pair[0].api_key}"}
        url = f"{pair[0].url}/api/{path}"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, url, json=body or None) as response,
        ):
            answer = await response.json()
            assert response.status == status, answer
            return answer

    return request


async def devices_of(ask: Ask, id_: str, count: int) -> list[str]:
    """The devices with a receipt, once there are that many."""
    while True:
        found = (await ask("GET", f"notifications/{id_}"))["deliveries"]
        if len(found) >= count:
            return sorted(one["device"] for one in found)
        await asyncio.sleep(0.02)


async def test_acked_pushes_are_sent_once_and_have_receipts(open_device: Open, ask: Ask) -> None:
    phone, tablet, old = (
        await open_device(0, "alice", "phone"), await open_device(1, "alice", "tablet"), await open_device(1, "alice"),
    )  # fmt: skip
    for device in (phone, tablet):
        await device.answer("notification", True)
    [sent] = (await ask("POST", "notifications", user="alice", type="t", message="hi"))["notifications"]
    for device in (phone, tablet, old):
        assert (await device.next("notification"))[0]["id"] == sent["id"]
    assert await devices_of(ask, sent["id"], 2) == ["phone", "tablet"]
    told = await ask("GET", f"notifications/{sent['id']}")
    assert (told["user"], told["notification"]["read"]) == ("alice", False)
    deaf = await open_device(0, "bob", "deaf")
    await ask("POST", "notifications", user="bob", type="t", message="a clock: it is sent four times")
    for _ in range(4):
        await deaf.next("notification")
    assert [len(device.received("notification")) for device in (phone, tablet, old)] == [1, 1, 1]


async def test_unacked_pushes_are_repeated_in_their_current_state(open_device: Open, ask: Ask) -> None:
    """The current text, nothing that was read, and a bounded number of times."""
    phone, laptop = await open_device(1, "alice", "phone"), await open_device(0, "alice")
    [first] = (await ask("POST", "notifications", user="alice", type="t", message="one"))["notifications"]
    for _ in range(2):
        assert (await phone.next("notification"))[0]["id"] == first["id"]
    await phone.answer("notification", True)
    assert await devices_of(ask, first["id"], 1) == ["phone"]
    deaf = await open_device(1, "alice", "deaf")
    [second] = (await ask("POST", "notifications", user="alice", type="t", message="two"))["notifications"]
    await deaf.next("notification")
    await laptop.call("read", {"ids": [second["id"]]})
    before = len(deaf.received("notification"))
    [third] = (await ask("POST", "notifications", user="alice", type="t", message="three"))["notifications"]
    for _ in range(4):
        await deaf.next("notification", where=lambda n, *_: n["id"] == third["id"])
    assert len(deaf.received("notification")) == before + 4, "what was read is not sent again"
    later = [n["message"] for n, *_ in phone.received("notification") if n["id"] != first["id"]]
    assert list(dict.fromkeys(later)) == ["two", "three"]  # an ack that came late may have led to a repetition
    [fourth] = (await ask("POST", "notifications", user="alice", type="t", message="four"))["notifications"]
    assert await devices_of(ask, fourth["id"], 1) == ["phone"]


async def test_a_device_reports_receipts_of_listed_notifications(open_device: Open, ask: Ask) -> None:
    [sent] = (await ask("POST", "notifications", user="alice", type="t", message="hi"))["notifications"]
    phone, bob = await open_device(0, "alice", "phone"), await open_device(1, "bob", "b")
    old = await open_device(1, "alice")
    for client in (phone, bob):
        assert (await client.call("delivered", {"ids": [sent["id"], "unknown"]})) == {"ok": True}
    assert (await old.call("delivered", {"ids": [sent["id"]]}))["error"]["code"] == "forbidden"
    assert await devices_of(ask, sent["id"], 1) == ["phone"]
    assert not phone.received("notification"), "what waited for it is not pushed"


async def test_a_backend_withdraws_a_notification(open_device: Open, ask: Ask) -> None:
    phone = await open_device(1, "alice")
    [sent] = (await ask("POST", "notifications", user="alice", type="t", message="hi"))["notifications"]
    await ask("DELETE", f"notifications/{sent['id']}")
    assert await phone.next("deleted") == [{"ids": [sent["id"]], "unread": 0, "unseen": 0}]
    assert (await phone.call("list"))["notifications"] == []
    for method in ("GET", "DELETE"):
        await ask(method, f"notifications/{sent['id']}", status=404)


async def test_an_invalid_device_name_is_rejected(open_device: Open) -> None:
    for name in ("", "x" * 65, "a\nb", "a\0b", 5, ["phone"], {"a": 1}, True):
        client = await open_device(0, "alice", name, wait=False)
        assert (await client.connect_error())["data"]["code"] == "invalid_payload", name
