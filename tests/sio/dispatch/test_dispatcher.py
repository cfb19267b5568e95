"""The acks of events."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from rtserver.errors import EventError, Forbidden, NotFound, Refused
from rtserver.sio.namespace.namespace import Namespace, event


class Order(msgspec.Struct, rename="camel"):
    order_id: int
    note: str | None = None


class Events(Namespace, path="/"):
    auth = "none"

    @event("none")
    async def none(self, client): ...

    @event("value")
    async def value(self, client):
        return {"ok": True}

    @event("several")
    async def several(self, client):
        return 1, [2], None

    @event("list")
    async def list(self, client):
        return [1, 2]

    @event("sync")
    def sync(self, client, number: int):
        return number

    @event("awaitable")
    def awaitable(self, client):
        return self.value(client)

    @event("bytes")
    async def bytes(self, client, data: bytes):
        return data[::-1]

    @event("struct")
    async def struct(self, client, order: Order):
        return order

    @event("refuse")
    async def refuse(self, client, kind: str):
        raise {
            "own": NotFound("No such order", details={"orderId": 5}),
            "code": EventError("Sold out", code="sold_out"),
            "known": EventError("No", code="forbidden"),
            "refused": Refused("No", code="x"),
            "bug": ZeroDivisionError("a secret of the server"),
            "cancelled": asyncio.CancelledError(),
            "recursion": RecursionError(),
            "details": Forbidden(details=object()),
        }[kind]

    @event("unsendable")
    async def unsendable(self, client):
        return object()

    @event("nan")
    async def nan(self, client):
        return {"price": float("nan")}

    @event("limited", rate="2/s")
    async def limited(self, client):
        return "ok"

    @event("unlimited", rate=None)
    async def unlimited(self, client):
        return "ok"


@pytest.fixture
async def client(serve, raw):
    served = await serve(Events(), event_rate="5/s")
    client = await raw(served.url)
    await client.connect()
    client.served = served
    return client


def refused(code, message):
    return [{"ok": False, "error": {"code": code, "message": message}}]


@pytest.mark.parametrize(
    ("emitted", "ack"),
    [
        (["none"], []),
        (["value"], [{"ok": True}]),
        (["several"], [1, [2], None]),
        (["list"], [[1, 2]]),
        (["sync", 5], [5]),
        (["awaitable"], [{"ok": True}]),
        (["struct", {"orderId": 1, "extra": 2}], [{"orderId": 1, "note": None}]),
        (["nan"], [{"price": None}]),
        (["sync"], refused("invalid_payload", "Expected 1 argument(s), got 0")),
        (["sync", "5"], refused("invalid_payload", "Argument 1: Expected `int`, got `str`")),
        (["sync", 5, 6], [5]),
        (["sync", 5.0, None], [5]),
        (["struct", []], refused("invalid_payload", "Argument 1: Expected `object`, got `array`")),
        (["bytes", "text"], refused("invalid_payload", "Argument 1: Expected `bytes`, got `str`")),
        (["unknown"], refused("unknown_event", "There is no such event")),
        (["*"], refused("unknown_event", "There is no such event")),
        ([5], refused("unknown_event", "There is no such event")),
        (["on_connect"], refused("unknown_event", "There is no such event")),
        (["refuse", "code"], refused("sold_out", "Sold out")),
        (["refuse", "known"], refused("forbidden", "No")),
    ],
    ids=str,
)
async def test_the_ack_of_an_event(client, emitted, ack):
    assert await client.call("/", *emitted) == ack


async def test_details_of_an_error_reach_the_client(client):
    (answer,) = await client.call("/", "refuse", "own")
    assert answer == {
        "ok": False, "error": {"code": "not_found", "message": "No such order", "details": {"orderId": 5}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "emitted",
    [["refuse", kind] for kind in ("bug", "cancelled", "recursion", "details", "refused", "missing")]
    + [["unsendable"]],
    ids=str,
)
async def test_a_failing_handler_is_an_internal_error_without_details(client, caplog, emitted):
    with caplog.at_level(logging.INFO):
        assert await client.call("/", *emitted) == refused("internal", "Something went wrong on the server")
    # The client stays connected, and its next event is handled.
    assert await client.call("/", "sync", 5, id=2) == [5]


async def test_an_event_without_an_ack_id_is_never_answered(client):
    await client.send('2["value"]', '2["refuse","bug"]', '2["unknown"]', '2["sync","x"]')
    assert await client.call("/", "sync", 1) == [1]


async def test_bytes_are_answered_with_bytes(client):
    await client.send('51-1["bytes",{"_placeholder":true,"num":0}]', b"abc")
    assert await client.receive() == '61-1[{"_placeholder":true,"num":0}]'
    assert await client.receive() == b"cba"


async def test_beyond_its_rate_an_event_is_answered_with_retry_after(client):
    answers = [await client.call("/", "limited", id=n) for n in range(10)]
    assert answers[:4] == [["ok"]] * 4
    assert any(answer != ["ok"] for answer in answers[4:])
    error = next(answer[0]["error"] for answer in answers if answer != ["ok"])
    assert error["code"] == "rate_limited"
    assert 0 < error["retryAfter"] <= 0.5
    # Other events of the client, and those without a limit, are handled.
    assert await client.call("/", "sync", 1) == [1]
    assert [await client.call("/", "unlimited") for _ in range(30)] == [["ok"]] * 30


async def test_unknown_events_share_one_bucket(client):
    answers = [await client.call("/", f"unknown-{n}") for n in range(40)]
    codes = {answer[0]["error"]["code"] for answer in answers}
    assert codes == {"unknown_event", "rate_limited"}
    (session,) = client.served.server.connections.values()
    assert set(session.clients[0].buckets) == {"*"}


async def test_events_are_counted_by_error_code(client):
    await client.call("/", "value")
    await client.call("/", "unknown")
    await client.call("/", "refuse", "bug")
    assert dict(client.served.server.metrics.received) == {
        ("/", "ok"): 1, ("/", "unknown_event"): 1, ("/", "internal"): 1,
    }  # fmt: skip


async def test_a_failing_on_stop_does_not_prevent_the_others(serve):
    stopped = []

    class Bad(Namespace, path="/bad"):
        async def on_stop(self):
            raise RuntimeError

    class Good(Namespace, path="/good"):
        async def on_start(self):
            stopped.append("started")

        async def on_stop(self):
            stopped.append("stopped")

    served = await serve(Bad(), Good())
    await served.server.stop()
    assert stopped == ["started", "stopped"]
