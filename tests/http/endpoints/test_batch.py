"""rtserver/http/endpoints/batch.py: many requests in one, in order, each with an answer of its own."""

import asyncio
from typing import Any

import pytest

from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.endpoints.batch import CONCURRENCY, BatchApi
from rtserver.ingest.commands import MessageRequest, Request
from rtserver.ingest.intake import IngestResult, checked
from rtserver.ingest.ordering import ordering_keys, windows
from tests.http.conftest import Client, Serve
from tests.http.endpoints.test_publish import AUTH, EMIT, KEY, NOTICE, Backend


class Slow(Backend):
    """Notes who is carried out side by side; takes a turn of the loop for each."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0
        self.most = 0

    async def submit(self, request: Request) -> IngestResult:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return await super().submit(request)


@pytest.fixture
def backend() -> Slow:
    return Slow()


@pytest.fixture
async def client(serve: Serve, backend: Slow) -> Client:
    return await serve(ApiRouter(BatchApi(backend), credentials=Credentials([KEY])))


def post(text: str, **where: str) -> dict[str, Any]:
    where = where or {"room": "general"}
    return {"kind": "message", "body": {"text": text, "from": {"id": "bot"}, **where}}


async def results_of(client: Client, entries: list[Any]) -> list[dict[str, Any]]:
    answer = await client.post("/api/batch", json={"entries": entries}, headers=AUTH)
    body = await answer.json()
    assert answer.status == 200, body
    results: list[dict[str, Any]] = body["results"]
    return results


async def test_each_entry_has_an_answer_of_its_own_in_order(client: Client, backend: Slow) -> None:
    entries = [
        {"kind": "notification", "body": {**NOTICE, "data": {"large": "x" * 1000}}},
        {"kind": "notification", "body": {**NOTICE, "message": ""}},
        {"kind": "emit", "body": EMIT},
        {"kind": "emit", "body": {**EMIT, "namespace": "/none"}},
        {"kind": "emit", "body": {**EMIT, "ack": True}},
        post("Hello"),
        {"kind": "pigeon", "body": {}},
        {"kind": "message", "body": None},
        {"kind": "notification", "body": {"everyone": True, "type": "news", "message": "Hi"}},
    ]
    told = await results_of(client, entries)
    assert told[0] == {
        "ok": True, "new": True, "notifications": [{"user": "alice", "id": "alice1", "seq": 1, "new": True}],
    }  # fmt: skip
    codes = ["", "invalid_payload", "", "not_found", "invalid_payload", "", "invalid_payload", "invalid_payload", ""]
    assert [one.get("error", {}).get("code", "") for one in told] == codes
    assert told[5]["message"]["text"] == "Hello"
    assert told[8] == {"ok": True, "new": True, "reached": 3}
    assert len(backend.emitted) == 1


async def test_a_room_gets_its_messages_in_the_order_given(client: Client, backend: Slow) -> None:
    entries = [post(f"{n}", room=f"room {n % 5}") for n in range(200)]
    assert all(one["ok"] for one in await results_of(client, entries))
    for room in range(5):
        texts = [int(one.text) for one in backend.posted if one.room == f"room {room}"]
        assert texts == sorted(texts)
    assert backend.most == 5  # and rooms do not wait for each other


async def test_trouble_with_one_does_not_stop_the_others(client: Client, backend: Slow) -> None:
    backend.down = True
    told = await results_of(client, [post("a"), post("b")])
    assert [one["error"]["code"] for one in told] == ["unavailable", "unavailable"]


async def test_what_was_not_begun_in_time_says_so(serve: Serve, backend: Slow) -> None:
    client = await serve(ApiRouter(BatchApi(backend, seconds=-1), credentials=Credentials([KEY])))
    told = await results_of(client, [post("a")])
    assert told[0]["error"]["code"] == "timeout"
    assert backend.posted == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"entries": []}, 400), ({"entries": [post("a")] * 1001}, 400), ({"entries": post("a")}, 400), ([], 400),
        ({"entries": [{"kind": "message"}]}, 400), ({"entries": [{"body": {}}]}, 400), ({}, 400),
        ({"entries": [{"kind": "emit", "body": EMIT, "key": "k"}]}, 400), ({"entries": [None]}, 400),
        ({"entries": [{"kind": "notification", "body": {**NOTICE, "user": None, "users": ["a"] * 1000}}] * 10}, 200),
        ({"entries": [{"kind": "emit", "body": {**EMIT, "data": "x" * 1_000_000}}]}, 413),
    ],
)  # fmt: skip
async def test_a_batch_is_bounded(client: Client, body: Any, status: int) -> None:
    assert (await client.post("/api/batch", json=body, headers=AUTH)).status == status


async def test_a_batch_names_a_bounded_number_of_users(client: Client, backend: Slow) -> None:
    users = [f"u{n}" for n in range(1000)]
    entry = {"kind": "notification", "body": {"users": users, "type": "news", "message": "Hi"}}
    answer = await client.post("/api/batch", json={"entries": [entry] * 11}, headers=AUTH)
    assert (answer.status, (await answer.json())["error"]["code"]) == (413, "too_large")
    assert backend.saved == {}


def test_entries_that_share_nothing_go_side_by_side() -> None:
    def step(kind: str, **body: Any) -> Request:
        return checked(kind, body)

    def say(**where: str) -> Request:
        return step("message", text="x", **{"from": {"id": "bot"}}, **where)

    def tell(**whom: Any) -> Request:
        return step("notification", type="t", message="m", **whom)

    emit = step("emit", namespace="/chat", event="e", rooms=["c"], users=["dora"])
    everybody = step("emit", namespace="/chat", event="e")
    for steps, sizes in (
        ([say(room="a"), say(room="b"), tell(user="alice"), emit], [4]),
        ([say(room="a"), say(room="a")], [1, 1]),
        ([say(to="alice"), tell(users=["bob", "alice"])], [1, 1]),
        ([say(to="alice"), say(to="bob")], [1, 1]),  # both are the bot's
        ([say(room="c"), emit, tell(user="dora")], [1, 1, 1]),
        ([everybody, everybody, say(room="a"), tell(everyone=True), tell(room="a")], [1, 1, 1, 1, 1]),
        ([say(room=f"r{n}") for n in range(CONCURRENCY + 1)], [CONCURRENCY, 1]),
    ):
        assert [len(window) for window in windows(steps, ordering_keys, CONCURRENCY)] == sizes
        assert [step for window in windows(steps, ordering_keys, CONCURRENCY) for step in window] == steps
    assert isinstance(say(room="a"), MessageRequest)


async def test_an_invalid_entry_delays_no_other(client: Client, backend: Slow) -> None:
    """It has no room and no user, so it stands in a window with anything but a request for everybody."""
    everybody = {"kind": "emit", "body": EMIT}
    invalid = {"kind": "pigeon", "body": {}}
    results = await results_of(client, [invalid, everybody, invalid, post("a", room="a"), invalid, post("b", room="b")])
    assert [result["ok"] for result in results] == [False, True, False, True, False, True]
    assert backend.most == 2


def test_no_entries_make_no_window() -> None:
    """Nothing hangs on it: a batch without entries is rejected."""
    assert list(windows([], ordering_keys, CONCURRENCY)) == []
