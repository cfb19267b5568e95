"""Idempotency keys: a key is entered once over all servers, and only for one body."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rtserver.errors import Conflict, InvalidPayload
from rtserver.store.db.database import Database
from rtserver.store.ingest.idempotency import KEPT_MS, IdempotencyKeys, KeyedRequest
from tests.store.conftest import OpenDatabase

NOW = 1_795_359_845_123


@pytest.fixture
async def requests(db: Database) -> AsyncIterator[IdempotencyKeys]:
    requests = IdempotencyKeys(db)
    await requests.start()
    yield requests
    await requests.stop()


async def test_a_key_is_new_once_and_keeps_the_first_answer(requests: IdempotencyKeys) -> None:
    first = await requests.enter(KeyedRequest("emit", "k", "digest", {"n": 1}))
    again = await requests.enter(KeyedRequest("emit", "k", "digest", {"n": 2}))
    assert (first.new, again.new, again.answer) == (True, False, {"n": 1})
    assert (await requests.enter(KeyedRequest("message", "k", "digest"))).new, "each kind has its own keys"


async def test_a_later_answer_is_saved(requests: IdempotencyKeys) -> None:
    assert (await requests.enter(KeyedRequest("notification", "k", "digest"))).answer is None
    await requests.answer("notification", "k", {"reached": 3})
    assert (await requests.enter(KeyedRequest("notification", "k", "digest"))).answer == {"reached": 3}


async def test_the_same_key_with_another_body_is_a_conflict(requests: IdempotencyKeys) -> None:
    await requests.enter(KeyedRequest("emit", "k", "digest"))
    with pytest.raises(Conflict):
        await requests.enter(KeyedRequest("emit", "k", "other"))
    await requests.forget("emit", "k")
    assert (await requests.enter(KeyedRequest("emit", "k", "other"))).new


async def test_a_key_is_new_once_among_concurrent_requests_on_two_servers(open_database: OpenDatabase) -> None:
    servers = [IdempotencyKeys(await open_database()) for _ in range(2)]
    for server in servers:
        await server.start()
    keys = [f"k{number % 20}" for number in range(200)]
    entering = [servers[at % 2].enter(KeyedRequest("emit", key, "d")) for at, key in enumerate(keys)]
    entered = await asyncio.gather(*entering)
    assert sorted(key for key, known in zip(keys, entered, strict=True) if known.new) == sorted(set(keys))
    for server in servers:
        await server.stop()


async def test_a_conflict_does_not_fail_the_rest_of_the_batch(requests: IdempotencyKeys) -> None:
    entering = [requests.enter(KeyedRequest("emit", "k", digest)) for digest in ("a", "b", "a")]
    told = await asyncio.gather(*entering, return_exceptions=True)
    assert [type(one) for one in told] == [type(told[0]), Conflict, type(told[0])]


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 801])
async def test_keys_that_no_database_can_store_are_rejected(requests: IdempotencyKeys, key: str) -> None:
    with pytest.raises(InvalidPayload):
        await requests.enter(KeyedRequest("emit", key, "d"))


async def test_old_keys_are_removed(db: Database) -> None:
    now = NOW
    requests = IdempotencyKeys(db, clock=lambda: now)
    await requests.start()
    await requests.enter(KeyedRequest("emit", "old", "d"))
    now += KEPT_MS
    await requests.enter(KeyedRequest("emit", "young", "d"))
    assert await requests.remove_expired() == 0
    now += 1
    assert await requests.remove_expired() == 1
    assert not (await requests.enter(KeyedRequest("emit", "young", "d"))).new
    assert (await requests.enter(KeyedRequest("emit", "old", "d"))).new
    await requests.stop()


async def test_a_clock_change_of_an_hour_frees_no_key(db: Database) -> None:
    hour, now = 3_600_000, NOW
    requests = IdempotencyKeys(db, clock=lambda: now)
    await requests.start()
    for key, step in (("right", 0), ("ahead", hour), ("behind", -2 * hour)):
        now += step
        await requests.enter(KeyedRequest("emit", key, "d"))
    for step in (0, 2 * hour, -hour):
        now += step
        assert await requests.remove_expired() == 0
        for key in ("right", "ahead", "behind"):
            assert not (await requests.enter(KeyedRequest("emit", key, "d"))).new
    await requests.stop()
