"""Backpressure: what waits is bounded for each client and for all, and a client is judged by its progress."""

from __future__ import annotations

import pytest

from rtserver.engine.session import backpressure as module
from rtserver.engine.session.backpressure import (
    ANSWERS,
    DEAD_SECONDS,
    HARD_FACTOR,
    LOOK_SECONDS,
    PROGRESS,
    SLOW_SECONDS,
    UNCOUNTED,
    Backpressure,
)
from rtserver.timer_wheel import Wheel

LIMIT = 100_000
TOTAL = 10_000_000


class Reader:
    """A client that takes what a test says. `can_take` is False for one that polls."""

    def __init__(self, backpressure, can_take=True, uncounted=UNCOUNTED):
        self.uncounted = uncounted
        self.waiting = self.in_transit = 0
        self.can_take = can_take
        self.closed = 0
        self._backpressure = backpressure

    def send(self, size, overhead=0):
        if self._backpressure.admit(self, self.waiting, size, overhead):
            self.waiting += size
            return True
        return False

    def close_as_slow(self):
        self.closed += 1
        self._backpressure.remove(self)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
async def backpressure(clock):
    wheel = Wheel(0.1)
    yield Backpressure(wheel, LIMIT, TOTAL)
    wheel.close()


def look(backpressure, clock, seconds=LOOK_SECONDS):
    clock.now += seconds
    backpressure._wheel.stop(backpressure)
    backpressure.fire()


# One client.


async def test_a_client_that_nothing_else_ends_is_closed_for_its_last_byte(backpressure, clock):
    client, other = Reader(backpressure, uncounted=0), Reader(backpressure)
    for each in (client, other):
        assert each.send(100)
    looks = 0
    while not client.closed:
        look(backpressure, clock)
        looks += 1
    assert looks == DEAD_SECONDS / LOOK_SECONDS
    assert not other.closed, "its heartbeat ends it"
    assert not backpressure.total


async def test_a_client_without_progress_is_closed_after_a_while(backpressure, clock):
    client = Reader(backpressure)
    assert client.send(LIMIT + 1)
    looks = 0
    while not client.closed:
        look(backpressure, clock)
        looks += 1
    assert looks == SLOW_SECONDS / LOOK_SECONDS
    assert (backpressure.total, backpressure.is_set) == (0, False)


async def test_a_client_with_little_waiting_has_more_time(backpressure, clock):
    client = Reader(backpressure)
    client.send(LIMIT)
    for _ in range(round(DEAD_SECONDS / LOOK_SECONDS) - 1):
        look(backpressure, clock)
    assert not client.closed
    look(backpressure, clock)
    assert client.closed == 1


async def test_a_client_that_takes_its_time_is_not_closed(backpressure, clock):
    """Two megabytes at 250 kB/s, as on a slow line."""
    client = Reader(backpressure)
    client.waiting = 2_000_000
    backpressure.add(client, 0, client.waiting)
    while client.waiting > LIMIT:
        client.waiting -= 250_000
        look(backpressure, clock)
    assert not client.closed


async def test_bytes_that_the_peer_acknowledges_are_progress(backpressure, clock):
    """The system accepts more only when a part of its own buffer is free."""
    client = Reader(backpressure)
    client.send(10 * LIMIT)
    client.in_transit = 4_000_000
    for _ in range(30):
        look(backpressure, clock)
        client.in_transit -= 100_000
    assert not client.closed
    for _ in range(10):
        look(backpressure, clock)
    assert client.closed == 1


async def test_a_trickle_is_no_progress(backpressure, clock):
    client = Reader(backpressure)
    client.send(LIMIT * 2)
    for _ in range(10):
        client.waiting -= 100
        look(backpressure, clock)
    assert client.closed == 1


async def test_what_is_added_is_not_mistaken_for_what_is_taken(backpressure, clock):
    client = Reader(backpressure)
    client.send(LIMIT + 1)
    for _ in range(round(SLOW_SECONDS / LOOK_SECONDS)):
        assert client.send(PROGRESS * 2, overhead=64)
        look(backpressure, clock)
    assert client.closed == 1


async def test_a_client_that_has_not_polled_is_not_slow(backpressure, clock):
    client = Reader(backpressure, can_take=False)
    client.send(LIMIT * (HARD_FACTOR - 1))
    for _ in range(100):
        look(backpressure, clock)
    assert not client.closed


@pytest.mark.parametrize("can_take", [True, False])
@pytest.mark.parametrize("size", [1000, LIMIT, 5 * LIMIT])
async def test_what_waits_for_one_client_has_a_hard_bound(backpressure, size, can_take):
    client = Reader(backpressure, can_take)
    most = 0
    while client.send(size):
        most = max(most, backpressure.total)
    assert client.closed == 1
    assert HARD_FACTOR * LIMIT <= most <= HARD_FACTOR * LIMIT + size
    assert backpressure.total == 0


async def test_a_message_larger_than_the_bound_arrives(backpressure):
    assert Reader(backpressure).send(2 * HARD_FACTOR * LIMIT)


async def test_the_overhead_of_what_was_taken_is_not_counted_for_ever(backpressure, clock):
    """A client that is always behind, and never far."""
    client = Reader(backpressure)
    for _ in range(100_000):
        assert client.send(100, overhead=64)
        client.waiting = max(0, client.waiting - 100 if client.waiting > 50_000 else client.waiting)
    assert not client.closed
    assert backpressure.total < 100_000


# All clients.


async def test_the_total_is_bounded_and_those_without_progress_go_first(backpressure, clock):
    stalled = [Reader(backpressure) for _ in range(20)]
    polling = [Reader(backpressure, can_take=False) for _ in range(20)]
    for client in (*stalled, *polling):
        client.send(LIMIT)
    clock.now += 2 * LOOK_SECONDS
    well = [Reader(backpressure) for _ in range(3)]
    sent = 0
    while sent < TOTAL:
        for client in well:
            client.send(200_000)
            sent += 200_000
            client.waiting = 0
        for client in stalled:
            if not client.closed:
                client.send(50_000)
                sent += 50_000
        assert backpressure.total <= TOTAL
    assert sum(client.closed for client in stalled) > 0
    assert not any(client.closed for client in (*well, *polling))


async def test_of_those_without_progress_the_one_with_most_waiting_goes_first(backpressure, clock):
    clients = [Reader(backpressure) for _ in range(10)]
    for number, client in enumerate(clients):
        client.send((number + 1) * 100_000)
    clock.now += 2 * LOOK_SECONDS
    fresh = Reader(backpressure)
    for _ in range(16):
        fresh.send(LIMIT)
    while not clients[-1].closed:
        fresh.waiting = 0
        other = Reader(backpressure)
        other.send(LIMIT)
    assert [client.closed for client in clients[:5]] == [0] * 5
    assert not fresh.closed


async def test_those_that_read_a_little_of_very_much_do_not_have_others_closed(backpressure, clock):
    """A few clients may fill the total, and take just enough to count as making progress."""
    hogs = [Reader(backpressure) for _ in range(8)]
    polling = [Reader(backpressure, can_take=False) for _ in range(20)]
    for client in polling:
        client.send(20_000)
    for hog in hogs:
        while hog.waiting < LIMIT * 11:
            hog.send(LIMIT)
    for _ in range(20):
        for hog in hogs:
            if not hog.closed:
                hog.waiting -= PROGRESS
        look(backpressure, clock)
        for hog in hogs:
            if not hog.closed:
                hog.send(LIMIT)
    assert any(hog.closed for hog in hogs)
    assert not any(client.closed for client in polling)


async def test_of_two_with_as_much_waiting_the_one_without_progress_goes_first(backpressure, clock):
    stalled = [Reader(backpressure) for _ in range(8)]
    taking = [Reader(backpressure) for _ in range(8)]
    for client in (*stalled, *taking):
        while client.waiting < LIMIT * 6:
            client.send(LIMIT)
    look(backpressure, clock, 2 * LOOK_SECONDS)
    for client in taking:
        client.waiting -= PROGRESS
    Reader(backpressure).send(LIMIT * 5)
    assert any(client.closed for client in stalled)
    assert not any(client.closed for client in taking)


async def test_making_room_loses_no_message_of_those_who_stay(backpressure):
    """The room is made in the middle of sending, before the message is queued."""
    for number in range(1000):
        others = [Reader(backpressure, can_take=bool(number % 2)) for _ in range(10)]
        for client in others:
            assert client.send(LIMIT) or client.closed
            client.waiting = 0


async def test_counts_are_taken_anew_before_anybody_is_closed(backpressure):
    """What a transport has sent since is not known until it is asked."""
    clients = [Reader(backpressure) for _ in range(1000)]
    for client in clients:
        client.send(LIMIT)
        client.waiting = 0
        assert backpressure.total <= TOTAL
    assert not any(client.closed for client in clients)


async def test_room_is_made_for_more_than_one_message(backpressure):
    clients = [Reader(backpressure) for _ in range(1000)]
    freed = []
    for client in clients:
        before = backpressure.total
        client.send(LIMIT)
        if backpressure.total < before:
            freed.append(backpressure.total)
    assert freed
    assert all(total <= TOTAL * 7 / 8 for total in freed)
    assert len(freed) < 100


async def test_a_client_whose_end_makes_others_send_more_is_no_trouble(backpressure):
    class Announced(Reader):
        def close_as_slow(self):
            super().close_as_slow()
            for other in clients:
                if not other.closed:
                    other.send(50_000)

    clients = [Announced(backpressure) for _ in range(100)]
    for _ in range(3):
        for client in clients:
            if not client.closed:
                client.send(60_000)
            assert backpressure.total <= TOTAL
    assert max(client.closed for client in clients) == 1


async def test_the_timer_runs_only_while_something_waits(backpressure, clock):
    client = Reader(backpressure)
    assert not backpressure.is_set
    client.send(LIMIT)
    assert backpressure.is_set
    client.waiting = 0
    look(backpressure, clock)
    assert not backpressure._counts
    assert not backpressure.total
    assert not backpressure.is_set


async def test_progress_is_known_for_heartbeats(backpressure, clock):
    client = Reader(backpressure)
    assert not backpressure.makes_progress(client)
    client.send(LIMIT)
    assert backpressure.makes_progress(client)
    clock.now += SLOW_SECONDS
    assert not backpressure.makes_progress(client)
    client.waiting -= PROGRESS
    assert backpressure.makes_progress(client)
    client.waiting = 0
    assert not backpressure.makes_progress(client)


# Answers.


async def asked(backpressure, client, size):
    client.send(size)
    backpressure.answered(client, size)
    return backpressure.answers_taken(client)


async def test_a_request_waits_until_the_answers_before_it_are_taken(backpressure):
    client = Reader(backpressure)
    assert await asked(backpressure, client, ANSWERS // 2) is None
    first = await asked(backpressure, client, ANSWERS)
    second = backpressure.answers_taken(client)
    assert not first.done()
    client.waiting -= ANSWERS // 4
    backpressure.look_at(client)
    assert not first.done()
    client.waiting -= ANSWERS // 2
    backpressure.look_at(client)
    assert first.done()
    assert second.done()
    assert backpressure.answers_taken(client) is None


@pytest.mark.parametrize("how", ["remove", "end"])
async def test_a_request_of_a_client_that_leaves_goes_on(backpressure, how):
    client = Reader(backpressure)
    waits = await asked(backpressure, client, 2 * ANSWERS)
    getattr(backpressure, how)(client)
    assert waits.done()
    assert backpressure.answers_taken(client) is None


async def test_what_others_send_delays_no_request(backpressure):
    client = Reader(backpressure)
    client.send(50 * ANSWERS)
    assert await asked(backpressure, client, 100) is None
    for _ in range(100):  # a slow line: what was asked for is taken among the rest
        client.waiting -= 1000
        backpressure.look_at(client)
        client.send(900)
        assert await asked(backpressure, client, 100) is None


async def test_a_cancelled_request_leaves_the_others_waiting(backpressure):
    client = Reader(backpressure)
    first, second = await asked(backpressure, client, 2 * ANSWERS), backpressure.answers_taken(client)
    first.cancel()
    assert not second.done()
    backpressure.remove(client)
    assert second.done()


async def test_answers_of_a_client_that_is_not_known_do_not_wait(backpressure):
    client = Reader(backpressure)
    backpressure.answered(client, 10 * ANSWERS)
    assert backpressure.answers_taken(client) is None
    backpressure.look_at(client)
    backpressure.end(client)
