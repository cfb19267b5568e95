"""Entry processor: how entries are parsed, in what order they are executed, and when they are settled."""

import asyncio
from typing import Any

import pytest

from rtserver.errors import EventError, InvalidPayload, NotFound, TimedOut, TooLarge, Unavailable
from rtserver.ingest.commands import Request
from rtserver.ingest.entry_processor import MAX_BYTES, Entry, EntryProcessor, read_fields, read_json
from rtserver.ingest.intake import checked, digest_of
from rtserver.ingest.ordering import ordering_keys, windows

EMIT = {"namespace": "/chat", "event": "news"}


def entry(handle: str, kind: str = "emit", **body: Any) -> Entry:
    return Entry(handle, f"origin-{handle}", lambda: (kind, EMIT | {"event": handle} | body))


async def test_each_entry_is_settled_and_invalid_ones_with_the_reason() -> None:
    async def submit(request: Request, origin: str | None) -> None:
        if getattr(request, "event", "") == "gone":
            raise NotFound("There is no namespace")

    def unreadable() -> Any:
        raise InvalidPayload("no JSON")

    settled: dict[str, str | None] = {}
    entries = [entry("good"), entry("gone"), entry("odd", kind="odd"), Entry("bytes", None, unreadable)]
    await EntryProcessor(submit).process(entries, settled.__setitem__)
    assert settled["good"] is None
    assert {name: str(reason).partition(":")[0] for name, reason in settled.items() if reason} == {
        "gone": "not_found", "odd": "invalid_payload", "bytes": "invalid_payload",
    }  # fmt: skip


async def test_an_entry_is_retried_for_as_long_as_the_database_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("rtserver.ingest.entry_processor.asyncio.sleep", pause)

    async def submit(request: Request, origin: str | None) -> None:
        if len(pauses) < 20:
            raise Unavailable

    settled: dict[str, str | None] = {}
    await EntryProcessor(submit, attempts=1).process([entry("one")], settled.__setitem__)
    assert settled == {"one": None}
    assert (pauses[0] < 1, pauses[-1]) == (True, 10.0)


@pytest.mark.parametrize("fault", [RuntimeError(), TimedOut()])
async def test_after_an_internal_error_an_entry_is_retried_and_settled_or_left_to_the_broker(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr("rtserver.ingest.entry_processor._FIRST_PAUSE", 0.0)
    tried = 0

    async def submit(request: Request, origin: str | None) -> None:
        nonlocal tried
        tried += 1
        raise fault

    settled: dict[str, str | None] = {}
    await EntryProcessor(submit, attempts=3).process([entry("one")], settled.__setitem__)
    assert (tried, settled) == (3, {"one": "internal: failed 3 times"})
    settled.clear()
    await EntryProcessor(submit, attempts=1, redelivered_by_broker=True).process([entry("one")], settled.__setitem__)
    assert settled == {}


async def test_entries_with_a_common_user_keep_their_order_and_others_run_concurrently() -> None:
    running: set[str] = set()
    together: list[set[str]] = []
    ended: list[str] = []

    async def submit(request: Any, origin: str | None) -> None:
        running.add(request.event)
        await asyncio.sleep(0)
        together.append(set(running))
        running.discard(request.event)
        ended.append(request.event)

    entries = [entry("a1", users=["a"]), entry("b1", users=["b"]), entry("a2", users=["a"]), entry("all"), entry("a3")]
    await EntryProcessor(submit).process(entries, lambda handle, reason: None)
    assert {"a1", "b1"} in together
    assert ended.index("a1") < ended.index("a2") < ended.index("all") < ended.index("a3")


def test_windows_are_bounded_and_complete() -> None:
    requests = [checked("emit", EMIT | {"users": [str(number)]}) for number in range(10)]
    assert [len(window) for window in windows(requests, ordering_keys, 4)] == [4, 4, 2]
    assert list(windows([], ordering_keys, 4)) == []


@pytest.mark.parametrize(
    ("kind", "body", "places"),
    [
        ("message", {"room": "r", "from": {"id": "x"}, "text": "t"}, {("room", "r")}),
        ("message", {"to": "ada", "from": {"id": "x"}, "text": "t"}, {("user", "ada"), ("user", "x")}),
        ("notification", {"users": ["a", "b"], "type": "t", "message": "m"}, {("user", "a"), ("user", "b")}),
        ("notification", {"room": "r", "type": "t", "message": "m"}, {("", "")}),
        ("emit", EMIT, {("", "")}),
    ],
)
def test_ordering_keys_are_the_rooms_and_users_of_a_request(kind: str, body: Any, places: Any) -> None:
    assert ordering_keys(checked(kind, body)) == places


@pytest.mark.parametrize(
    ("kind", "body", "plain"),
    [
        ("emit", EMIT | {"args": None, "volatile": None, "at": 1795359845123.0}, EMIT | {"at": 1795359845123}),
        ("emit", EMIT | {"args": [1.0], "data": None}, EMIT | {"args": [1.0]}),
        (
            "notification",
            {"type": "t", "message": "m", "user": "a", "everyone": None, "users": None, "expiresAt": 1795359845123.0},
            {"type": "t", "message": "m", "user": "a", "expiresAt": 1795359845123},
        ),
        (
            "message",
            {"text": "t", "from": {"id": "a", "name": None}, "room": "r", "to": None, "mentions": None},
            {"text": "t", "from": {"id": "a"}, "room": "r"},
        ),
    ],
)
def test_null_and_whole_floats_are_understood_from_every_source(kind: str, body: Any, plain: Any) -> None:
    """And a retry without them is the same request: it has the same digest."""
    assert checked(kind, body) == checked(kind, plain)
    assert digest_of(checked(kind, body)) == digest_of(checked(kind, plain))


@pytest.mark.parametrize("at", [1795359845123.5, True, "7", [], 1795359845.0])
def test_a_time_that_is_none_is_rejected(at: Any) -> None:
    with pytest.raises(InvalidPayload):
        checked("emit", EMIT | {"at": at})


def test_fields_beside_the_body_belong_to_it() -> None:
    read = read_fields({b"kind": b"emit", b"body": b'{"event":"x"}', b"key": b"k", b"at": b"1795359845123"})
    assert read == ("emit", {"event": "x", "key": "k", "at": 1795359845123})
    assert read_fields({b"kind": b"emit", b"body": b"{}", b"at": b"2026-11-22T15:04:05Z"})[1] == {
        "at": "2026-11-22T15:04:05Z"
    }
    assert read_fields({b"kind": b"emit", b"body": b"{}", b"at": b"1795359845123.0"})[1] == {"at": 1795359845123}
    assert read_json(b'{"kind":"emit","body":{"event":"x"},"key":null,"at":null}') == ("emit", {"event": "x"})
    assert read_json(b'{"kind":"emit","body":{"event":"x"},"key":"k"}') == ("emit", {"event": "x", "key": "k"})
    assert read_fields({b"kind": b"emit", b"body": b'{"key":"k"}', b"key": b"k"}) == ("emit", {"key": "k"})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"kind": b"emit"},
        {b"body": b"{}"},
        {b"kind": b"emit", b"body": b"{}", b"ttl": b"5"},
        {b"kind": b"emit", b"body": b"{", b"key": b"k"},
        {b"kind": b"emit", b"body": b"[1]"},
        {b"kind": b"emit", b"body": b'{"key":"a"}', b"key": b"b"},
        {b"kind": b"\xff", b"body": b"{}"},
        {b"\xff": b"", b"kind": b"emit", b"body": b"{}"},
        {b"kind": b"emit", b"body": b"[" * 5000},
        {b"kind": b"emit", b"body": b'{"x":NaN}'},
        {b"kind": b"x" * MAX_BYTES, b"body": b"{}"},
    ],
    ids=range(12),
)
def test_invalid_fields_are_rejected(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(EventError) as caught:
        read_fields(fields)
    assert caught.value.code in ("invalid_payload", "too_large")


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"5", b"[]", b"{}", b'{"kind":5,"body":{}}', b'{"kind":"emit"}', b'{"kind":"emit","body":[]}',
     b'{"kind":"emit","body":{},"ttl":5}', b"\xff\xfe", b'{"kind":"emit","body":{},"key":{}}x'],
)  # fmt: skip
def test_invalid_json_entries_are_rejected(value: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read_json(value)


def test_the_size_of_an_entry_is_bounded() -> None:
    with pytest.raises(TooLarge):
        read_json(b" " * (MAX_BYTES + 1))
