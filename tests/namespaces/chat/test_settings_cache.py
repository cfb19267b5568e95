"""The cache of room settings: a message needs no query."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rtserver.errors import Unavailable
from rtserver.namespaces.chat.settings_cache import LIMIT, SECONDS, RoomSettingsCache
from rtserver.store.rooms.room_settings import RoomSettings


class Store:
    """Counts its queries; `gate` delays its results."""

    def __init__(self) -> None:
        self.asked = 0
        self.settings = RoomSettings("lobby")
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def find(self, room: str) -> RoomSettings | None:
        self.asked += 1
        self.begun.set()
        if self.down:
            raise Unavailable
        found = self.settings if room == "lobby" else None
        await self.gate.wait()
        return found

    async def change(self, room: str, changes: Mapping[str, Any], by: str) -> tuple[RoomSettings, list[str]]:
        raise NotImplementedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(store: Store, clock: Clock) -> RoomSettingsCache:
    return RoomSettingsCache(store, clock=clock)


async def test_settings_are_loaded_once_per_interval(known: RoomSettingsCache, store: Store, clock: Clock) -> None:
    for _ in range(100):
        assert await known.get("lobby") == store.settings
    assert store.asked == 1
    store.settings = RoomSettings("lobby", read_only=True)
    clock.now = SECONDS + 1
    assert (await asyncio.gather(*(known.get("lobby") for _ in range(100))))[0].read_only
    assert store.asked == 2, "one asks for all"


async def test_invalidated_settings_are_loaded_again(known: RoomSettingsCache, store: Store) -> None:
    await known.get("lobby")
    store.settings = RoomSettings("lobby", read_only=True)
    known.invalidate("lobby")
    assert (await known.get("lobby")).read_only


async def test_settings_read_before_a_change_are_not_cached(known: RoomSettingsCache, store: Store) -> None:
    store.gate.clear()
    asking = asyncio.create_task(known.get("lobby"))
    await store.begun.wait()
    store.settings = RoomSettings("lobby", read_only=True)
    known.invalidate("lobby")
    store.gate.set()
    assert not (await asking).read_only
    assert (await known.get("lobby")).read_only


async def test_expired_entries_are_used_while_the_database_is_down(
    known: RoomSettingsCache, store: Store, clock: Clock
) -> None:
    await known.get("lobby")
    store.down = True
    clock.now = SECONDS + 1
    assert await known.get("lobby") == store.settings
    with pytest.raises(Unavailable):
        await known.get("other")


async def test_the_cache_is_bounded(known: RoomSettingsCache, store: Store) -> None:
    for number in range(LIMIT + 10):
        assert await known.get(f"room-{number}") == RoomSettings(f"room-{number}")
    asked = store.asked
    await known.get(f"room-{LIMIT}")
    assert store.asked == asked
    await known.get("room-0")
    assert store.asked == asked + 1
