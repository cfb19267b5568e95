"""Answer size: what fits into an answer."""

import pytest

from rtserver.answer_size import ANSWER_BYTES, fitting, size_of


@pytest.mark.parametrize(
    ("items", "room", "oversized", "fit"),
    [
        ([], 10, True, 0),
        (["aaa", "bbb", "ccc"], 100, True, 3),
        (["aaa", "bbb", "ccc"], 19, True, 3),
        (["aaa", "bbb", "ccc"], 18, True, 2),
        (["aaa", "bbb", "ccc"], 13, True, 2),
        (["aaa", "bbb", "ccc"], 12, True, 1),
        (["aaa", "bbb", "ccc"], 5, True, 1),
        (["aaa", "bbb", "ccc"], 5, False, 0),
        (["aaa", "b"], 0, True, 1),
        (["é" * 3, "b"], 9, True, 1),
        (["\n" * 3, "b"], 9, True, 1),
    ],
)
def test_the_first_items_that_fit(items: list[str], room: int, oversized: bool, fit: int) -> None:
    assert fitting(items, room, oversized=oversized) == items[:fit]


def test_a_page_of_any_items_ends_at_the_bytes_of_an_answer() -> None:
    page = fitting(["x" * 10_000 for _ in range(1000)])
    assert len(page) == 51
    assert size_of(page) <= ANSWER_BYTES
    assert size_of({"set": {1}, "bytes": b"abc"}) > 0
