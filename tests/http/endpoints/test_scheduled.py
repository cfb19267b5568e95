"""rtserver/http/endpoints/scheduled.py: listing and cancelling scheduled requests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.endpoints.scheduled import ScheduledApi
from rtserver.store.db.database import Database
from rtserver.store.ingest.schedule import Schedule
from tests.http.conftest import Client, Serve
from tests.http.endpoints.test_publish import AUTH, KEY

FAR = 4_000_000_000_000


@pytest.fixture
async def schedule(tmp_path: Path) -> AsyncIterator[Schedule]:
    db = Database(f"sqlite:///{tmp_path}/rtserver.db")
    await db.connect()
    await db.migrate()
    yield Schedule(db)
    await db.close()


@pytest.fixture
async def client(serve: Serve, schedule: Schedule) -> Client:
    return await serve(ApiRouter(ScheduledApi(schedule), credentials=Credentials([KEY])))


async def call(client: Client, method: str, path: str) -> tuple[int, Any]:
    answer = await client.request(method, path, headers=AUTH)
    return answer.status, await answer.json()


async def add(schedule: Schedule, n: int, key: str | None = None) -> str:
    return (await schedule.add("emit", {"n": n}, FAR + n, key=key, digest="d"))[0]


async def test_scheduled_requests_are_paged(client: Client, schedule: Schedule) -> None:
    ids = [await add(schedule, n) for n in range(3)]
    status, first = await call(client, "GET", "/api/scheduled?limit=2")
    assert (status, [each["id"] for each in first["scheduled"]]) == (200, ids[:2])
    assert first["scheduled"][0] | {"createdAt": ""} == {
        "id": ids[0], "kind": "emit", "at": "2096-10-02T07:06:40.000Z", "body": {"n": 0}, "key": None,
        "createdAt": "", "attempts": 0, "failedAt": None, "error": None,
    }  # fmt: skip
    _, second = await call(client, "GET", f"/api/scheduled?limit=2&after={first['next']}")
    assert ([each["id"] for each in second["scheduled"]], second["next"]) == (ids[2:], None)


async def test_a_scheduled_request_is_read_and_cancelled_by_id_or_key(client: Client, schedule: Schedule) -> None:
    id_ = await add(schedule, 1, key="order/1")
    status, body = await call(client, "GET", f"/api/scheduled/{id_}")
    assert (status, body["scheduled"]["key"]) == (200, "order/1")
    assert await call(client, "DELETE", f"/api/scheduled/{id_}") == (200, {"ok": True})
    assert (await call(client, "DELETE", f"/api/scheduled/{id_}"))[0] == 404
    assert (await call(client, "GET", f"/api/scheduled/{id_}"))[0] == 404
    await add(schedule, 2, key="order/1")
    assert await call(client, "DELETE", "/api/scheduled?kind=emit&key=order/1") == (200, {"ok": True})
    assert (await call(client, "DELETE", "/api/scheduled?kind=emit&key=order/1"))[0] == 404


async def test_failed_requests_are_listed_with_the_reason(client: Client, schedule: Schedule) -> None:
    id_ = await add(schedule, 1, key="k")
    await schedule.park(id_, "not_found: There is no namespace /x")
    assert (await call(client, "GET", "/api/scheduled"))[1]["scheduled"] == []
    [failed] = (await call(client, "GET", "/api/scheduled?failed=true"))[1]["scheduled"]
    assert (failed["id"], failed["error"]) == (id_, "not_found: There is no namespace /x")
    assert (await call(client, "DELETE", "/api/scheduled?kind=emit&key=k"))[0] == 200


@pytest.mark.parametrize(
    "query", ["after=x", "after=1.%00", "after=-1.a", "limit=0", "limit=101", "kind=x", "failed=maybe", "user=ada"]
)
async def test_an_invalid_query_is_rejected(client: Client, query: str) -> None:
    status, body = await call(client, "GET", f"/api/scheduled?{query}")
    assert (status, body["error"]["code"]) == (400, "invalid_payload")


async def test_cancelling_requires_an_id_or_a_key(client: Client, schedule: Schedule) -> None:
    await add(schedule, 1)
    assert (await call(client, "DELETE", "/api/scheduled"))[0] == 400
    assert (await call(client, "DELETE", "/api/scheduled?key=k"))[0] == 400
    assert len((await schedule.page())[0]) == 1
