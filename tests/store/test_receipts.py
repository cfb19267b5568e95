"""How far somebody has read; on both databases."""

import asyncio

import pytest

from rtserver.store.messages import Messages
from rtserver.store.receipts import Receipts
from rtserver.store.records import Author, Draft


@pytest.fixture
async def ten(messages: Messages) -> None:
    await asyncio.gather(*(messages.append(Draft("lobby", Author("bob", "Bob"), str(i))) for i in range(10)))


@pytest.mark.usefixtures("ten")
async def test_the_cursor_moves_forwards_only(receipts: Receipts) -> None:
    assert await receipts.last_read("lobby", "ann") == 0
    assert await receipts.mark_read("lobby", "ann", 4) == 4
    assert await receipts.mark_read("lobby", "ann", 2) == 4
    assert await receipts.mark_read("lobby", "ann", 7) == 7
    assert await receipts.last_read("lobby", "ann") == 7
    assert await receipts.last_read("lobby", "bob") == 0


@pytest.mark.usefixtures("ten")
async def test_nobody_reads_past_the_end(receipts: Receipts) -> None:
    assert await receipts.mark_read("lobby", "ann", 10**30) == 10
    assert await receipts.mark_read("lobby", "ann", -(10**30)) == 10
    assert await receipts.mark_read("nowhere", "ann", 5) == 0


@pytest.mark.usefixtures("ten")
async def test_devices_that_race_end_at_the_furthest(receipts: Receipts) -> None:
    await asyncio.gather(*(receipts.mark_read("lobby", "ann", seq) for seq in (3, 9, 1, 7, 5, 8)))
    assert await receipts.last_read("lobby", "ann") == 9
