"""Ordering: which requests may be executed concurrently, and which must keep their order.

Requests that share a room or a user keep their order. A request for everybody keeps its order towards all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rtserver.ingest.commands import EmitRequest, MessageRequest, NotifyRequest, Request

T = TypeVar("T")
OrderingKeys = frozenset[tuple[str, str]]
"""The rooms and users that a request is for, as ("room", name) and ("user", id)."""

EVERYBODY: OrderingKeys = frozenset({("", "")})
NOTHING: OrderingKeys = frozenset()
"""Of an item that is not executed, such as an unreadable one; it may stand in any window."""


def ordering_keys(request: Request) -> OrderingKeys:
    """Return the rooms and users that the request is for, or `EVERYBODY`."""
    match request:
        case MessageRequest(room=None):
            return frozenset({("user", request.to or ""), ("user", request.from_.id)})
        case MessageRequest():
            return frozenset({("room", request.room or "")})
        case NotifyRequest() if (users := request.named_users) is not None:
            return frozenset(("user", user) for user in users)
        case EmitRequest(rooms=rooms, users=users) if rooms or users:
            return frozenset([*(("room", room) for room in rooms or ()), *(("user", user) for user in users or ())])
    return EVERYBODY


def windows(items: Sequence[T], keys_of: Callable[[T], OrderingKeys], limit: int) -> Iterator[list[T]]:
    """Split into windows of at most `limit` items, in order; no two items of a window have a key in common.

    The items of a window may be executed concurrently, the windows one after the other.
    """
    window: list[T] = []
    taken: set[tuple[str, str]] = set()
    for item in items:
        keys = keys_of(item)
        alone = keys == EVERYBODY or taken == EVERYBODY
        if window and (alone or keys & taken or len(window) >= limit):
            yield window
            window, taken = [], set()
        window.append(item)
        taken |= keys
    if window:
        yield window
