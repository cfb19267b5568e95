"""rtserver/http/endpoints/queries.py: queries of backends."""

from collections.abc import Sequence
from typing import Any

import pytest

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.endpoints.queries import HistoryApi, UserQueriesApi
from rtserver.store.messages.records import Author, Message, ReadState
from rtserver.store.notifications.records import Notification, Unread
from tests.http.conftest import Client, Serve
from tests.http.endpoints.test_publish import AUTH, KEY

MESSAGE = Message("m1", 1, "general", Author("bot", "Bot"), "Hello", "2026-11-22T15:04:05.123Z")


class Answers:
    """Stands in for the store and the presence; records the calls."""

    partial = False

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def history(self, room: str, **page: int | None) -> tuple[list[Message], bool]:
        self.asked.append((room, page))
        return [MESSAGE], True

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        return PartialSet({"alice", "carol"} & set(users), partial=self.partial)

    async def all_online(self, limit: int = 1000) -> PartialList[str]:
        return PartialList(["alice", "carol", "dora"], partial=self.partial)

    async def unread(self, user: str) -> list[ReadState]:
        return [
            ReadState(room, 7, 1, 0, read, unread, 0, True)
            for room, unread, read in (("a", 3, 4), ("b", 0, 1), ("c", 2, 0))
        ]

    async def list(self, user: str, **page: Any) -> tuple[list[Notification], bool]:
        self.asked.append((user, page))
        return [], False

    async def counts(self, user: str) -> Unread:
        return Unread(5, 2, {"order": 5})


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def client(serve: Serve, answers: Answers) -> Client:
    parts = (HistoryApi(answers), UserQueriesApi(answers, answers, answers))
    return await serve(ApiRouter(*parts, credentials=Credentials([KEY])))


async def get(client: Client, path: str) -> Any:
    answer = await client.get(path, headers=AUTH)
    body = await answer.json()
    return body if answer.status == 200 else (answer.status, body["error"]["code"])


async def test_a_rooms_history_is_paged(client: Client, answers: Answers) -> None:
    told = await get(client, "/api/rooms/a%2Fb/messages?before=7&limit=2")
    assert (told["messages"][0]["text"], told["more"]) == ("Hello", True)
    await get(client, "/api/rooms/general/messages")
    assert answers.asked == [
        ("a/b", {"before": 7, "after": None, "limit": 2}),
        ("general", {"before": None, "after": None, "limit": 50}),
    ]


@pytest.mark.parametrize(
    "query",
    ["before=1&after=1", "before=-1", "limit=0", "limit=101", "after=9007199254740992", "after=x", "page=2", "room=b"],
)
async def test_invalid_paging_is_rejected(client: Client, answers: Answers, query: str) -> None:
    assert await get(client, f"/api/rooms/general/messages?{query}") == (400, "invalid_payload")
    assert answers.asked == []


async def test_online_users_are_returned_in_the_requested_order(client: Client, answers: Answers) -> None:
    told = await get(client, "/api/presence?user=carol&user=bob&user=alice&user=carol")
    assert told == {"ok": True, "online": ["carol", "alice"], "partial": False}
    many = {"users": [f"u{n}" for n in range(999)] + ["alice"]}
    answer = await client.post("/api/presence", json=many, headers=AUTH)
    assert (await answer.json())["online"] == ["alice"]
    answers.partial = True
    assert await get(client, "/api/presence?user=bob") == {"ok": True, "online": [], "partial": True}
    assert await get(client, "/api/presence") == {"ok": True, "online": ["alice", "carol", "dora"], "partial": True}


async def test_unread_is_counted_by_room_and_type(client: Client) -> None:
    assert await get(client, "/api/users/alice/unread") == {
        "ok": True,
        "messages": 5,
        "rooms": [{"room": "a", "unread": 3, "lastRead": 4}, {"room": "c", "unread": 2, "lastRead": 0}],
        "notifications": {"count": 5, "unseen": 2, "types": {"order": 5}},
    }


async def test_an_inbox_is_returned_as_its_user_sees_it(client: Client, answers: Answers) -> None:
    assert await get(client, "/api/users/a%3Ab/notifications?unread=true&type=order&before=9&limit=3") == {
        "ok": True,
        "notifications": [],
        "more": False,
    }
    assert answers.asked == [("a:b", {"before": 9, "limit": 3, "unread": True, "type": "order"})]


async def test_only_backends_may_query(client: Client) -> None:
    for path in ("/api/presence", "/api/rooms/a/messages", "/api/users/a/unread", "/api/users/a/notifications"):
        assert (await client.get(path)).status == 401
        assert (await client.delete(path, headers=AUTH)).status == 405
