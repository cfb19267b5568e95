"""Erasure from scheduled commands: none reaches or names an erased user."""

from typing import Any

import pytest

from rtserver.store.db.database import Database
from rtserver.store.erasure.erase_scheduled import body_without, erase_scheduled
from rtserver.store.ingest.schedule import Schedule

FAR = 4_000_000_000_000
EVE = 'eve "4711" %_\\ é'


@pytest.mark.parametrize(
    ("kind", "body", "left"),
    [
        ("notification", {"user": EVE}, None),
        ("notification", {"users": [EVE]}, None),
        ("notification", {"users": ["bob", EVE]}, {"users": ["bob"]}),
        ("notification", {"room": "general"}, {"room": "general"}),
        ("message", {"to": EVE, "from": {"id": "bot"}}, None),
        ("message", {"room": "general", "from": {"id": EVE}}, None),
        ("message", {"room": "r", "from": {"id": "bot"}, "mentions": [EVE]}, {"mentions": None}),
        ("emit", {"users": [EVE], "rooms": None}, None),
        ("emit", {"users": [EVE], "rooms": ["r"]}, {"users": None, "rooms": ["r"]}),
        ("emit", {"event": EVE}, {"event": EVE}),
    ],
)
async def test_commands_for_the_user_are_removed_and_others_stay(kind: str, body: Any, left: Any) -> None:
    without_eve = body_without(kind, body, EVE)
    assert without_eve == (None if left is None else body | left)


async def test_all_pages_of_scheduled_commands_are_searched(db: Database) -> None:
    schedule = Schedule(db)
    for number in range(7):
        await schedule.add("notification", {"user": EVE, "n": number}, FAR, key=None, digest="")
        await schedule.add("notification", {"users": ["bob", EVE]}, FAR, key=None, digest="")
        await schedule.add("notification", {"user": "bob", "message": EVE}, FAR, key=None, digest="")
    async with db.transaction() as connection:
        assert await erase_scheduled(connection, EVE, page=3) == 14
        assert await erase_scheduled(connection, EVE, page=3) == 0
    bodies = [later.body for later in (await schedule.page(limit=100))[0]]
    assert bodies.count({"users": ["bob"]}) == 7
    assert bodies.count({"user": "bob", "message": EVE}) == 7
    assert len(bodies) == 14
