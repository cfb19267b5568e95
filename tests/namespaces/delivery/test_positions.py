"""Positions: every number is new once, in whatever order the numbers come, and a hole that stays open is known."""

import random

import pytest

from rtserver.namespaces.delivery.positions import MAX_AHEAD, Positions


class Gaps:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_numbers_in_order_are_new_once_and_open_no_hole() -> None:
    gaps = Gaps()
    positions = Positions(gaps)
    positions.begin("hall", 0)
    assert [positions.note("hall", number) for number in (1, 2, 3, 3, 1, 4)] == [True, True, True, False, False, True]
    assert (gaps.times, positions.gaps) == (0, set())


def test_a_number_that_is_missing_is_a_gap_until_it_comes() -> None:
    gaps = Gaps()
    positions = Positions(gaps)
    positions.begin("hall", 4)
    assert positions.note("hall", 7)
    assert positions.note("hall", 6)
    assert (positions.gaps, gaps.times > 0) == ({"hall"}, True)
    assert not positions.note("hall", 7)
    assert positions.note("hall", 5)
    assert positions.gaps == set()
    assert positions.get("hall").top == 7  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(20))
def test_each_number_is_new_once_in_any_order(seed: int) -> None:
    moment = random.Random(seed)
    positions = Positions(lambda: None)
    positions.begin("hall", 0)
    numbers = [*range(1, 101)] * 3
    moment.shuffle(numbers)
    assert sum(positions.note("hall", number) for number in numbers) == 100
    track = positions.get("hall")
    assert track is not None
    assert (track.top, track.ahead, positions.gaps) == (100, None, set())


def test_what_was_before_the_first_number_is_not_known() -> None:
    positions = Positions(lambda: None)
    assert positions.note("hall", 9)
    track = positions.get("hall")
    assert track is not None
    assert (track.has(8), track.has(9), track.has(10)) == (False, True, False)
    assert positions.note("hall", 8)
    assert positions.note("hall", 5)
    assert [track.has(number) for number in (5, 6, 7, 8, 9)] == [True, False, False, True, True]
    assert positions.gaps == set()


def test_after_settling_nothing_is_missing_up_to_there() -> None:
    positions = Positions(lambda: None)
    positions.begin("hall", 2)
    for number in (5, 9):
        positions.note("hall", number)
    positions.settle("hall", 7)
    assert positions.gaps == {"hall"}, "8 may still come"
    assert not positions.note("hall", 4)
    assert positions.note("hall", 8)
    assert positions.gaps == set()


def test_a_number_that_was_never_saved_is_not_waited_for() -> None:
    positions = Positions(lambda: None)
    positions.begin("hall", 2)
    positions.note("hall", 2**53)
    positions.settle("hall", 3, positions.beyond_holes("hall"))
    assert positions.gaps == set()
    assert positions.note("hall", 4)
    assert positions.get("hall").top == 4  # type: ignore[union-attr]


def test_a_flood_of_forged_numbers_is_bounded() -> None:
    positions = Positions(lambda: None)
    positions.begin("hall", 0)
    for number in range(10, 10 + 3 * MAX_AHEAD):
        positions.note("hall", number)
    track = positions.get("hall")
    assert track is not None
    assert len(track.ahead or ()) == MAX_AHEAD


@pytest.mark.parametrize("forged", [2**53, 2**63 - 1, 10**6])
def test_a_forged_first_number_holds_back_nothing_that_is_saved(forged: int) -> None:
    positions = Positions(lambda: None)
    assert positions.note("hall", forged)
    assert positions.note("hall", 7)
    positions.settle("hall", 7)
    assert not positions.note("hall", 7)
    assert [positions.note("hall", number) for number in (8, 9, 8)] == [True, True, False]
    assert positions.gaps == set()


def test_a_room_that_is_forgotten_leaves_nothing() -> None:
    positions = Positions(lambda: None)
    positions.begin("hall", 0)
    positions.note("hall", 4)
    positions.forget("hall")
    assert (len(positions), positions.gaps, "hall" in positions) == (0, set(), False)
