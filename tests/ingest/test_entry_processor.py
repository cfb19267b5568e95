"""The entry processor: how entries are read, in what order they are executed, and when they end."""

import asyncio
from typing import Any

import pytest

from rtserver.errors import EventError, InvalidPayload, NotFound, TimedOut, TooLarge, Unavailable
from rtserver.ingest.commands import Request
from rtserver.ingest.entry_processor import MAX_BYTES, Entry, EntryProcessor, read_fields, read_json
from rtserver.ingest.intake import checked
from rtserver.ingest.ordering import ordering_keys, windows

EMIT = {"namespace": "/chat", "event": "news"}


def left(handle: str, kind: str = "emit", **body: Any) -> Entry:
    return Entry(handle, f"origin-{handle}", lambda: (kind, EMIT | {"event": handle} | body))


async def test_each_entry_is_settled_and_the_bad_ones_with_their_reason() -> None:
    async def take(request: Request, origin: str | None) -> None:
        if getattr(request, "event", "") == "gone":
            raise NotFound("There is no namespace")

    def unreadable() -> Any:
        raise InvalidPayload("no JSON")

    settled: dict[str, str | None] = {}
    entries = [left("good"), left("gone"), left("odd", kind="odd"), Entry("bytes", None, unreadable)]
    await EntryProcessor(take).process(entries, settled.__setitem__)
    assert settled["good"] is None
    assert {name: str(reason).partition(":")[0] for name, reason in settled.items() if reason} == {
        "gone": "not_found", "odd": "invalid_payload", "bytes": "invalid_payload",
    }  # fmt: skip


async def test_unavailable_waits_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("rtserver.ingest.entry_processor.asyncio.sleep", pause)

    async def take(request: Request, origin: str | None) -> None:
        if len(pauses) < 20:
            raise Unavailable

    settled: dict[str, str | None] = {}
    await EntryProcessor(take, attempts=1).process([left("one")], settled.__setitem__)
    assert settled == {"one": None}
    assert (pauses[0] < 1, pauses[-1]) == (True, 10.0)


@pytest.mark.parametrize("fault", [RuntimeError(), TimedOut()])
async def test_a_fault_of_ours_is_tried_again_and_given_up_or_forsaken(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr("rtserver.ingest.entry_processor._FIRST_PAUSE", 0.0)
    tried = 0

    async def take(request: Request, origin: str | None) -> None:
        nonlocal tried
        tried += 1
        raise fault

    settled: dict[str, str | None] = {}
    await EntryProcessor(take, attempts=3).process([left("one")], settled.__setitem__)
    assert (tried, settled) == (3, {"one": "internal: failed 3 times"})
    settled.clear()
    await EntryProcessor(take, attempts=1, redelivered_by_broker=True).process([left("one")], settled.__setitem__)
    assert settled == {}


async def test_entries_with_a_user_in_common_keep_their_order_and_others_run_side_by_side() -> None:
    running: set[str] = set()
    together: list[set[str]] = []
    ended: list[str] = []

    async def take(request: Any, origin: str | None) -> None:
        running.add(request.event)
        await asyncio.sleep(0)
        together.append(set(running))
        running.discard(request.event)
        ended.append(request.event)

    entries = [left("a1", users=["a"]), left("b1", users=["b"]), left("a2", users=["a"]), left("all"), left("a3")]
    await EntryProcessor(take).process(entries, lambda handle, reason: None)
    assert {"a1", "b1"} in together
    assert ended.index("a1") < ended.index("a2") < ended.index("all") < ended.index("a3")


def test_windows_are_bounded_and_leave_nothing_out() -> None:
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
def test_places_are_the_rooms_and_users_of_a_request(kind: str, body: Any, places: Any) -> None:
    assert ordering_keys(checked(kind, body)) == places


def test_fields_beside_the_body_belong_to_it() -> None:
    read = read_fields({b"kind": b"emit", b"body": b'{"event":"x"}', b"key": b"k", b"at": b"1795359845123"})
    assert read == ("emit", {"event": "x", "key": "k", "at": 1795359845123})
    assert read_fields({b"kind": b"emit", b"body": b"{}", b"at": b"2026-11-22T15:04:05Z"})[1] == {
        "at": "2026-11-22T15:04:05Z"
    }
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
def test_fields_that_are_no_entry_are_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(EventError) as caught:
        read_fields(fields)
    assert caught.value.code in ("invalid_payload", "too_large")


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"5", b"[]", b"{}", b'{"kind":5,"body":{}}', b'{"kind":"emit"}', b'{"kind":"emit","body":[]}',
     b'{"kind":"emit","body":{},"ttl":5}', b"\xff\xfe", b'{"kind":"emit","body":{},"key":{}}x'],
)  # fmt: skip
def test_json_that_is_no_entry_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read_json(value)


def test_an_entry_has_a_largest_size() -> None:
    with pytest.raises(TooLarge):
        read_json(b" " * (MAX_BYTES + 1))
