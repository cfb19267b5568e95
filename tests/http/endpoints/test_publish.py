"""Publishing over HTTP: valid and invalid requests, and credentials."""

import asyncio
import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from rtserver.errors import NotFound, Refused, Unavailable
from rtserver.http.api import bodies
from rtserver.http.api.bodies import MAX_BODY_BYTES
from rtserver.http.api.credentials import Credentials
from rtserver.http.api.router import ApiRouter
from rtserver.http.endpoints.batch import BatchApi
from rtserver.http.endpoints.publish import EmitApi, MessageApi, NotifyApi
from rtserver.identity import Identity
from rtserver.ingest.commands import EmitRequest, EmitTarget, MessageRequest, NotifyRequest, Request
from rtserver.ingest.intake import IngestResult
from rtserver.store.messages.records import Author, Message, Notification, NotificationDraft
from tests.http.conftest import Client, Serve

KEY = "k3y-of-the-shop-é"
AUTH = {"Authorization": f"Bearer {KEY}"}
JSON = {**AUTH, "Content-Type": "application/json"}
EMIT = {"namespace": "/chat", "event": "news", "data": {"n": 1}}
NOTICE = {"user": "alice", "type": "order", "message": "Shipped"}


class Backend:
    """Intake and ack emitter in memory: has one namespace, and keeps notifications by user and key."""

    def __init__(self) -> None:
        self.emitted: list[tuple[Any, ...]] = []
        self.saved: dict[str, list[NotificationDraft]] = {}
        self.posted: list[MessageRequest] = []
        self.asked: int | None = 2
        self.down = False

    async def submit(self, request: Request) -> IngestResult:
        if self.down:
            raise Unavailable
        if request.at is not None:
            return IngestResult(scheduled=("later1", "2027-01-01T00:00:00.000Z"))
        if isinstance(request, EmitRequest):
            return self._emit(request)
        if isinstance(request, MessageRequest):
            return self._post(request)
        users = request.named_users
        return IngestResult(reached=3) if users is None else self._notify(request, users)

    async def emit_with_ack(
        self, target: EmitTarget, event: str, args: Sequence[Any], timeout: float
    ) -> tuple[list[Any], int | None]:
        self.emitted.append((event, list(args), list(target.rooms), list(target.except_), timeout))
        return ["yes"], self.asked

    def _emit(self, request: EmitRequest) -> IngestResult:
        if request.namespace != "/chat":
            raise NotFound("There is no such namespace")
        where = (list(request.target.rooms), list(request.target.except_), request.volatile)
        self.emitted.append((request.event, request.arguments, *where))
        return IngestResult()

    def _post(self, request: MessageRequest) -> IngestResult:
        self.posted.append(request)
        author = Author(request.from_.id, request.from_.name or request.from_.id)
        message = Message(
            "m1", len(self.posted), request.room or "dm", author, request.text, "2026-11-22T15:04:05.123Z"
        )
        return IngestResult(message=message)

    def _notify(self, request: NotifyRequest, users: list[str]) -> IngestResult:
        told = [(user, *self._save(request, user)) for user in users]
        return IngestResult(new=any(new for _, _, new in told), notified=told)

    def _save(self, request: NotifyRequest, user: str) -> tuple[Notification, bool]:
        draft = NotificationDraft(user, request.type, request.message, request.data, request.key)
        inbox = self.saved.setdefault(user, [])
        keys = [earlier.key for earlier in inbox]
        new = draft.key is None or draft.key not in keys
        if new:
            inbox.append(draft)
        seq = len(inbox) if new else keys.index(draft.key) + 1
        kept = inbox[seq - 1]
        notification = Notification(
            id=f"{user}{seq}", seq=seq, type=kept.type, message=kept.message, data=kept.data,
            created_at="2026-11-22T15:04:05.123Z", read=False, seen=False, count=1,
        )  # fmt: skip
        return notification, new


class Tokens:
    async def verify(self, token: str) -> Identity:
        if token == "a.shop.jwt":
            return Identity(user="shop", roles=frozenset({"service"}))
        if token == "an.admin.jwt":
            return Identity(user="root", roles=frozenset({"admin"}))
        raise Refused("Auth failed", code="token_expired")


def api(backend: Backend, credentials: Credentials) -> ApiRouter:
    parts = (EmitApi(backend, backend), NotifyApi(backend), MessageApi(backend), BatchApi(backend))
    return ApiRouter(*parts, credentials=credentials)


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def client(serve: Serve, backend: Backend) -> Client:
    return await serve(api(backend, Credentials(["old key", KEY], Tokens())))


async def code_of(client: Client, path: str, body: Any, headers: dict[str, str] = AUTH) -> tuple[int, str]:
    answer = await client.post(path, json=body, headers=headers)
    told = await answer.json()
    return answer.status, told.get("error", {}).get("code", "")


# Emit


async def test_an_event_is_emitted_to_its_target(client: Client, backend: Backend) -> None:
    body = {
        "namespace": "/chat", "event": "news", "args": [1, {"a": None}, "x"], "rooms": ["a", "b"], "users": ["bob"],
        "except": ["c"], "volatile": True,
    }  # fmt: skip
    answer = await client.post("/api/emit", json=body, headers=AUTH)
    assert (answer.status, await answer.json()) == (200, {"ok": True})
    assert backend.emitted == [("news", [1, {"a": None}, "x"], ["a", "b", "user:bob"], ["c"], True)]


@pytest.mark.parametrize(
    ("given", "args"),
    [
        ({}, []),
        ({"data": None}, [None]),
        ({"data": [1, 2]}, [[1, 2]]),
        ({"args": []}, []),
        ({"args": None}, []),
        ({"args": None, "data": 5}, [5]),
        ({"args": [5], "data": None}, [5]),
        ({"args": None, "volatile": None, "ack": None, "timeout": None, "key": None, "rooms": None}, []),
        ({"data": 50.0}, [50.0]),
    ],
)
async def test_data_is_one_argument_and_args_are_several(
    client: Client, backend: Backend, given: dict[str, Any], args: list[Any]
) -> None:
    await client.post("/api/emit", json={"namespace": "/chat", "event": "news", **given}, headers=AUTH)
    assert backend.emitted == [("news", args, [], [], False)]


@pytest.mark.parametrize(
    "fault",
    [
        {"room": "a"}, {"rooms": []}, {"rooms": "a"}, {"rooms": [""]}, {"rooms": [1]}, {"rooms": ["x" * 201]},
        {"users": []}, {"users": {"a": 1}}, {"except": "a"}, {"except_": ["a"]}, {"rooms": ["a"] * 1001},
        {"event": "connect"}, {"event": "disconnect"}, {"event": "connect_error"}, {"event": "disconnecting"},
        {"event": "newListener"}, {"event": "removeListener"}, {"event": ""}, {"event": 5}, {"event": None},
        {"namespace": "chat"}, {"namespace": ""}, {"namespace": None}, {"args": {}, "data": 1}, {"args": [], "data": 1},
        {"args": "x"}, {"volatile": "yes"}, {"volatile": 1}, {"event": "a\x00b"}, {"rooms": ["a\x00"]},
    ],
)  # fmt: skip
async def test_an_invalid_request_reaches_nobody(client: Client, backend: Backend, fault: dict[str, Any]) -> None:
    """`room` in place of `rooms`, or an empty list, must not become a broadcast to everybody."""
    body = {"namespace": "/chat", "event": "news", **fault}
    assert await code_of(client, "/api/emit", body) == (400, "invalid_payload")
    assert backend.emitted == []


async def test_an_unknown_namespace_is_not_found(client: Client) -> None:
    assert await code_of(client, "/api/emit", {**EMIT, "namespace": "/none"}) == (404, "not_found")


async def test_acks_of_clients_are_waited_for(client: Client, backend: Backend) -> None:
    for asked, missing in ((2, 1), (1, 0), (None, 0)):
        backend.asked = asked
        answer = await client.post("/api/emit", json={**EMIT, "ack": True, "timeout": 2.5}, headers=AUTH)
        told = {"ok": True, "answers": ["yes"], "missing": missing, "partial": asked is None}
        assert (answer.status, await answer.json()) == (200, told)
    assert backend.emitted[0] == ("news", [{"n": 1}], [], [], 2.5)


@pytest.mark.parametrize(
    "fault",
    [
        {"timeout": 0}, {"timeout": 61}, {"timeout": "5"}, {"ack": 1}, {"ack": "true"}, {"volatile": True},
        {"key": "k"}, {"at": "2030-01-01T00:00:00Z"},
    ],
)  # fmt: skip
async def test_acks_exclude_volatile_key_and_time(client: Client, backend: Backend, fault: dict[str, Any]) -> None:
    assert await code_of(client, "/api/emit", {**EMIT, "ack": True, **fault}) == (400, "invalid_payload")
    assert backend.emitted == []


# Notifications


async def test_a_notification_is_returned_as_saved(client: Client) -> None:
    answer = await client.post("/api/notifications", json={**NOTICE, "data": {"id": 7}}, headers=AUTH)
    body = await answer.json()
    assert (answer.status, body["ok"], len(body["notifications"])) == (200, True, 1)
    told = body["notifications"][0]
    assert (told["id"], told["seq"], told["user"], told["new"]) == ("alice1", 1, "alice", True)
    assert told["data"] == {"id": 7}
    assert told["createdAt"].endswith("Z")


async def test_many_users_get_one_each(client: Client, backend: Backend) -> None:
    users = [f"u{n}" for n in range(999)] + ["u0"]
    body = {"users": users, "type": "news", "message": "Hello"}
    answer = await client.post("/api/notifications", json=body, headers=AUTH)
    told = (await answer.json())["notifications"]
    assert [one["user"] for one in told] == users[:-1]
    assert all(len(inbox) == 1 for inbox in backend.saved.values())


async def test_a_retry_with_the_same_key_returns_the_first_notification(client: Client, backend: Backend) -> None:
    for new in (True, False):
        answer = await client.post("/api/notifications", json={**NOTICE, "key": "order-7"}, headers=AUTH)
        told = (await answer.json())["notifications"][0]
        assert (told["id"], told["new"]) == ("alice1", new)
    assert len(backend.saved["alice"]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"users": ["bob"]}, {"user": None}, {"user": ""}, {"user": 7}, {"user": None, "users": []},
        {"user": None, "users": ["u"] * 1001}, {"user": None, "users": "alice"}, {"type": ""}, {"type": None},
        {"message": ""}, {"message": "x" * 10_001}, {"message": ["x"]}, {"key": ""}, {"key": 1}, {"to": "bob"},
        {"user": "a\x00"}, {"message": "a\x00"},
    ],
)  # fmt: skip
async def test_an_invalid_notification_is_not_saved(client: Client, backend: Backend, fault: dict[str, Any]) -> None:
    assert await code_of(client, "/api/notifications", {**NOTICE, **fault}) == (400, "invalid_payload")
    assert backend.saved == {}


async def test_a_notification_with_too_much_data_is_too_large(client: Client, backend: Backend) -> None:
    assert await code_of(client, "/api/notifications", {**NOTICE, "data": "x" * 16_383}) == (413, "too_large")
    assert await code_of(client, "/api/notifications", {**NOTICE, "data": "x" * 16_382}) == (200, "")


async def test_a_request_that_is_not_saved_gets_503(client: Client, backend: Backend) -> None:
    backend.down = True
    answer = await client.post("/api/notifications", json=NOTICE, headers=AUTH)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert (await answer.json())["error"]["code"] == "unavailable"


async def test_notified_users_without_names_are_counted(client: Client) -> None:
    for whom in ({"everyone": True}, {"room": "general"}):
        body = {"type": "news", "message": "Hello", **whom}
        answer = await client.post("/api/notifications", json=body, headers=AUTH)
        assert (answer.status, await answer.json()) == (200, {"ok": True, "new": True, "reached": 3})


# Messages


async def test_a_message_is_returned_as_saved(client: Client, backend: Backend) -> None:
    body = {"room": "general", "text": "Hello", "from": {"id": "bot", "name": "Bot"}, "replyTo": "m0", "key": "k"}
    answer = await client.post("/api/messages", json=body, headers=AUTH)
    told = await answer.json()
    assert (answer.status, told["new"]) == (200, True)
    assert told["message"]["from"] == {"id": "bot", "name": "Bot"}
    assert (told["message"]["room"], told["message"]["seq"], told["message"]["text"]) == ("general", 1, "Hello")
    assert (backend.posted[0].key, backend.posted[0].reply_to) == ("k", "m0")


@pytest.mark.parametrize(
    "fault",
    [
        {"to": "bob"}, {"room": None}, {"room": ""}, {"from": None}, {"from": "bot"}, {"from": {}},
        {"from": {"id": ""}}, {"from": {"id": "bot", "role": "admin"}}, {"text": None}, {"text": 5}, {"text": "a\x00"},
        {"mentions": "bob"}, {"mentions": []}, {"replyTo": 1}, {"at": "tomorrow"}, {"at": "2030-01-01T00:00:00"},
        {"at": 5}, {"nonce": "n"},
    ],
)  # fmt: skip
async def test_an_invalid_message_is_not_posted(client: Client, backend: Backend, fault: dict[str, Any]) -> None:
    body = {"room": "general", "text": "Hello", "from": {"id": "bot"}, **fault}
    assert await code_of(client, "/api/messages", body) == (400, "invalid_payload")
    assert backend.posted == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/emit", EMIT),
        ("/api/notifications", NOTICE),
        ("/api/messages", {"to": "bob", "text": "Hello", "from": {"id": "bot"}}),
    ],
)
async def test_a_request_with_a_time_is_scheduled(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = await client.post(path, json={**body, "at": "2027-01-01T00:00:00Z"}, headers=AUTH)
    scheduled = {"id": "later1", "at": "2027-01-01T00:00:00.000Z"}
    told = await answer.json()
    assert (answer.status, told["scheduled"]) == (200, scheduled)
    assert set(told) <= {"ok", "new", "scheduled"}


# Bodies


@pytest.mark.parametrize("path", ["/api/emit", "/api/notifications"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"5", b"{}", b"\xff\xfe", b"\x00", b'{"a":1,}', b'{"event":NaN}', b"NaN",
        b'{"namespace":"/chat","event":"news","data":NaN}', b'{"namespace":"/chat","event":"news","data":Infinity}',
        b'{"namespace":"/chat","event":"news","data":"\\ud800"}', b"[" * 100_000, b'{"a":' * 100_000,
        b'{"namespace":"/chat","event":"news","data":' + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 400_000 + b"]" * 400_000,
        b'{"namespace":"/chat","event":"news","data":1}garbage', b'{"data":' + b"9" * 100_000 + b"}",
        b'{"namespace":"/chat","event":"a","event":"news"}', b'{"namespace":"/chat","event":"a","\\u0065vent":"news"}',
        b'{"namespace":"/chat","event":"a","data":{"a":[{"b":1,"b":1}]}}',
    ],
)  # fmt: skip
async def test_invalid_json_is_rejected(client: Client, backend: Backend, path: str, body: bytes) -> None:
    answer = await client.post(path, data=body, headers=JSON)
    assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_payload")
    assert backend.emitted == []


async def test_a_body_past_the_limit_is_not_read_to_its_end(client: Client) -> None:
    body = json.dumps({**EMIT, "data": "x" * MAX_BODY_BYTES}).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    for data in (body, chunks()):
        answer = await client.post("/api/emit", data=data, headers=JSON)
        assert (answer.status, (await answer.json())["error"]["code"]) == (413, "too_large")


async def test_a_body_that_arrives_too_slowly_times_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    ended = asyncio.Event()

    async def chunks() -> Any:
        yield b'{"namespace":'
        await ended.wait()

    answer = await client.post("/api/emit", data=chunks(), headers=JSON)
    assert (answer.status, (await answer.json())["error"]["code"]) == (408, "timeout")
    ended.set()


async def test_a_body_at_the_limit_is_accepted(client: Client, backend: Backend) -> None:
    empty = len(json.dumps({**EMIT, "data": ""}))
    body = json.dumps({**EMIT, "data": "x" * (MAX_BODY_BYTES - empty)})
    assert len(body) == MAX_BODY_BYTES
    assert (await client.post("/api/emit", data=body, headers=JSON)).status == 200


async def test_a_compressed_bomb_counts_by_its_real_size(client: Client, backend: Backend) -> None:
    bomb = gzip.compress(b'{"namespace":"/chat","event":"news","data":"' + b"x" * 20_000_000 + b'"}')
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert (await client.post("/api/emit", data=bomb, headers=headers)).status == 413
    small = gzip.compress(json.dumps(EMIT).encode())
    assert (await client.post("/api/emit", data=small, headers=headers)).status == 200
    broken = await client.post("/api/emit", data=b"not gzip at all", headers=headers)
    assert (broken.status, (await broken.json())["error"]["code"]) == (400, "invalid_payload")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
async def test_only_the_content_type_of_json_is_accepted(client: Client, backend: Backend, kind: str) -> None:
    answer = await client.post("/api/emit", data=json.dumps(EMIT).encode(), headers={**AUTH, "Content-Type": kind})
    error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (415, "unsupported_media_type")
    assert "needs application/json" in error["message"]
    assert backend.emitted == []


async def test_a_charset_after_the_content_type_is_accepted(client: Client) -> None:
    headers = {**AUTH, "Content-Type": "application/json; charset=UTF-8"}
    assert (await client.post("/api/emit", data=json.dumps(EMIT), headers=headers)).status == 200


# Credentials


@pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer {KEY}", "Bearer old key", "Bearer a.shop.jwt"])
async def test_valid_keys_and_service_tokens_are_accepted(client: Client, authorization: str) -> None:
    assert await code_of(client, "/api/emit", EMIT, {"Authorization": authorization}) == (200, "")


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, "token_missing"),
        ("", 401, "token_missing"),
        ("Bearer", 401, "token_missing"),
        ("Bearer ", 401, "token_missing"),
        (f"Basic {KEY}", 401, "token_missing"),
        (KEY, 401, "token_missing"),
        (f"Bearer {KEY}x", 401, "token_invalid"),
        (f"Bearer {KEY[:-1]}", 401, "token_invalid"),
        (f"Bearer {KEY.upper()}", 401, "token_invalid"),
        ("Bearer an.old.jwt", 401, "token_expired"),
        ("Bearer an.admin.jwt", 403, "forbidden"),
    ],
)
async def test_all_other_credentials_are_rejected(
    client: Client, backend: Backend, authorization: str | None, status: int, code: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    assert await code_of(client, "/api/emit", EMIT, headers) == (status, code)
    assert await code_of(client, "/api/notifications", NOTICE, headers) == (status, code)
    assert backend.emitted == []


async def test_an_unauthorized_caller_learns_nothing_about_the_body(client: Client) -> None:
    answer = await client.post("/api/emit", data=b"x" * 2_000_000)
    assert answer.status == 401
    assert "`Authorization: Bearer …`" in (await answer.json())["error"]["message"]


async def test_without_a_key_the_api_is_off(serve: Serve, backend: Backend) -> None:
    client = await serve(api(backend, Credentials([""])))
    for headers in ({}, AUTH, {"Authorization": "Bearer "}, {"Authorization": "Bearer a.shop.jwt"}):
        assert await code_of(client, "/api/emit", EMIT, headers) == (404, "not_found")
        assert await code_of(client, "/api/notifications", NOTICE, headers) == (404, "not_found")


async def test_without_a_key_a_service_token_still_works(serve: Serve, backend: Backend) -> None:
    client = await serve(api(backend, Credentials([], Tokens())))
    assert await code_of(client, "/api/emit", EMIT, {"Authorization": "Bearer a.shop.jwt"}) == (200, "")
    for other in ("an.admin.jwt", "an.old.jwt", KEY):
        assert await code_of(client, "/api/emit", EMIT, {"Authorization": f"Bearer {other}"}) == (404, "not_found")


async def test_it_is_post_only(client: Client) -> None:
    answer = await client.get("/api/emit", headers=AUTH)
    assert (answer.status, (await answer.json())["error"]["code"]) == (405, "method_not_allowed")
