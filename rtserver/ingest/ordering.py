"""What may be carried out side by side, and what must keep its order: requests that share a room or a user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rtserver.ingest.commands import EmitRequest, MessageRequest, NotifyRequest, Request

T = TypeVar("T")
Places = frozenset[tuple[str, str]]

EVERYBODY: Places = frozenset({("", "")})


def ordering_keys(request: Request) -> Places:
    """The rooms and users that it is for."""
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


def windows(items: Sequence[T], places: Callable[[T], Places], limit: int) -> Iterator[list[T]]:
    """In order; within one, nothing has a room or a user in common with anything else."""
    window: list[T] = []
    taken: set[tuple[str, str]] = set()
    for item in items:
        here = places(item)
        alone = here == EVERYBODY or taken == EVERYBODY
        if window and (alone or here & taken or len(window) >= limit):
            yield window
            window, taken = [], set()
        window.append(item)
        taken |= here
    if window:
        yield window
