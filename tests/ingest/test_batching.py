"""rtserver/ingest/batching.py: concurrent requests are saved together, and a rejected one affects no other."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import pytest

from rtserver.errors import Conflict, Internal, Unavailable
from rtserver.ingest.batching import SMALL, NotificationBatcher
from rtserver.store.notifications.batches import NotificationBatch
from rtserver.store.notifications.records import NotificationDraft


class Saving:
    """Records what was saved together; "bad" is a conflict, "bug" an error after the commit, "down" no database."""

    def __init__(self) -> None:
        self.saved: list[list[str]] = []

    async def notify_batches(self, orders: list[NotificationBatch]) -> list[Any]:
        told = iter(await self.notify([draft for order in orders for draft in order.drafts]))
        return [list(islice(told, len(order.drafts))) for order in orders]

    async def notify(self, drafts: list[NotificationDraft]) -> list[Any]:
        await asyncio.sleep(0)
        users = [draft.user for draft in drafts]
        if "bad" in users:
            raise Conflict
        if "down" in users:
            raise Unavailable
        self.saved.append(users)
        if "bug" in users:
            raise RuntimeError
        return [(user, True) for user in users]


@pytest.fixture
def saving() -> Saving:
    return Saving()


@pytest.fixture
async def grouped(saving: Saving) -> AsyncIterator[NotificationBatcher]:
    one = NotificationBatcher(saving)
    await one.start()
    yield one
    await one.stop()


async def ask(grouped: NotificationBatcher, *requests: str) -> list[Any]:
    """One request per text, one user per word: "a b" is for two users."""
    drafts = [[NotificationDraft(user, "t", "m") for user in request.split()] for request in requests]
    return await asyncio.gather(*map(grouped.notify, drafts), return_exceptions=True)


async def test_concurrent_requests_are_saved_in_one_transaction(grouped: NotificationBatcher, saving: Saving) -> None:
    told = await ask(grouped, "a", "b c", "d")
    assert told == [[("a", True)], [("b", True), ("c", True)], [("d", True)]]
    assert saving.saved == [["a", "b", "c", "d"]]


async def test_a_rejected_request_leaves_the_others_saved_once(grouped: NotificationBatcher, saving: Saving) -> None:
    told = await ask(grouped, "a", "bad", "b", "c")
    assert [type(one) for one in told] == [list, Conflict, list, list]
    assert sorted(user for users in saving.saved for user in users) == ["a", "b", "c"]


async def test_an_error_after_the_commit_saves_nothing_again(grouped: NotificationBatcher, saving: Saving) -> None:
    told = await ask(grouped, "a", "bug", "b")
    assert [type(one) for one in told] == [Internal] * 3
    assert saving.saved == [["a", "bug", "b"]]


async def test_an_unavailable_database_fails_all_requests(grouped: NotificationBatcher) -> None:
    assert [type(one) for one in await ask(grouped, "a", "down")] == [Unavailable] * 2


async def test_a_large_request_has_a_transaction_of_its_own(grouped: NotificationBatcher, saving: Saving) -> None:
    many = " ".join(f"u{number}" for number in range(SMALL + 1))
    await ask(grouped, many, "a")
    assert sorted(map(len, saving.saved)) == [1, SMALL + 1]
