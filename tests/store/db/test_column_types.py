"""Column types: accepted values, and values rejected before they reach a driver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.errors import InvalidPayload
from rtserver.store.db.column_types import KEY_BYTES, checked_int, checked_json, checked_key, checked_text, plain_json

ANY_TEXT = st.text(alphabet=st.characters(codec=None, categories=None))


@given(ANY_TEXT)
def test_any_text_is_stored_unchanged_or_rejected(text: str) -> None:
    try:
        assert checked_text(text) == text
    except InvalidPayload:
        assert "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "ok\udfff", 5, None, b"bytes", ["a"]])
def test_text_that_no_database_can_store_is_rejected(text: object) -> None:
    with pytest.raises(InvalidPayload):
        checked_text(text)


def test_a_key_is_limited_in_bytes_not_characters() -> None:
    assert checked_key("é" * (KEY_BYTES // 2))
    with pytest.raises(InvalidPayload):
        checked_key("é" * (KEY_BYTES // 2 + 1))
    with pytest.raises(InvalidPayload):
        checked_key("a" * 10_000_000)


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**400, 1.5, "1", None])
def test_a_number_beyond_64_bits_is_rejected(number: object) -> None:
    with pytest.raises(InvalidPayload):
        checked_int(number)


def test_data_may_contain_what_text_may_not() -> None:
    """JSON escapes NUL, so that it is safe inside data."""
    assert plain_json({"a": "x\0y"}) == {"a": "x\0y"}


def deep(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [b"bytes", {"a": object()}, "\ud800", deep(100), deep(100_000)])
def test_data_that_could_not_be_read_back_is_rejected(value: object) -> None:
    with pytest.raises(InvalidPayload):
        checked_json(value)


def test_data_is_returned_as_it_will_be_read_back() -> None:
    assert plain_json({"nan": float("nan"), "tuple": (1, 2)}) == {"nan": None, "tuple": [1, 2]}
    assert plain_json(None) is None
