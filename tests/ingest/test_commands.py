"""rtserver/ingest/commands.py: the requests of backends."""

from typing import Any

import msgspec
import pytest

from rtserver.errors import TooLarge
from rtserver.ingest.commands import EmitRequest, MessageRequest, NotifyRequest, moment_ms

NOTICE = {"type": "order", "message": "Shipped", "user": "alice"}
MESSAGE = {"text": "Hello", "from": {"id": "shop"}, "room": "general"}
EMIT = {"namespace": "/chat", "event": "news"}


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2026-11-22T15:04:05.123Z", 1795359845123),
        ("2026-11-22T16:04:05.123+01:00", 1795359845123),
        ("2026-11-22T15:04:05Z", 1795359845000),
        (1795359845123, 1795359845123),
    ],
)
def test_a_time_is_iso_8601_or_milliseconds(written: str | int, ms: int) -> None:
    assert moment_ms(written) == ms


@pytest.mark.parametrize(
    "written",
    ["", "tomorrow", "2026-11-22T15:04:05", "2026-11-22", 1795359845, 0, -5, 2**60, "9" * 10_000, "2026-13-01T00:00Z"],
)
def test_a_time_without_a_zone_or_in_seconds_is_rejected(written: str | int) -> None:
    with pytest.raises(msgspec.ValidationError, match="`at`"):
        msgspec.convert({**NOTICE, "at": written}, NotifyRequest)


@pytest.mark.parametrize("to", [{"user": "alice"}, {"users": ["alice"]}, {"room": "general"}, {"everyone": True}])
def test_a_notification_goes_to_users_the_members_of_a_room_or_everyone(to: dict[str, Any]) -> None:
    msgspec.convert({"type": "t", "message": "m", **to}, NotifyRequest)


@pytest.mark.parametrize(
    "to",
    [
        {},
        {"everyone": False},
        {"user": "a", "users": ["b"]},
        {"user": "a", "everyone": True},
        {"users": []},
        {"rooms": ["general"]},
        {"user": "a\0"},
    ],
)
def test_a_notification_with_ambiguous_recipients_is_rejected(to: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "t", "message": "m", **to}, NotifyRequest)


def test_users_named_twice_count_once() -> None:
    assert msgspec.convert({**NOTICE, "user": None, "users": ["b", "a", "b"]}, NotifyRequest).named_users == ["b", "a"]


@pytest.mark.parametrize("to", [{}, {"room": "general", "to": "alice"}])
def test_a_message_goes_to_one_room_or_one_user(to: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="Give either `room` or `to`"):
        msgspec.convert({"text": "Hello", "from": {"id": "shop"}, **to}, MessageRequest)


@pytest.mark.parametrize(("shape", "body"), [(NotifyRequest, NOTICE), (MessageRequest, MESSAGE)])
def test_data_is_bounded_for_every_kind(shape: Any, body: dict[str, Any]) -> None:
    msgspec.convert({**body, "data": "x" * 16_000}, shape)
    with pytest.raises(TooLarge):
        msgspec.convert({**body, "data": "x" * 17_000}, shape)


@pytest.mark.parametrize(("shape", "body"), [(NotifyRequest, NOTICE), (MessageRequest, MESSAGE), (EmitRequest, EMIT)])
def test_unknown_fields_are_rejected(shape: Any, body: dict[str, Any]) -> None:
    msgspec.convert(body, shape)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**body, "urgent": True}, shape)
