"""Content rules of messages."""

import pytest

from rtserver.errors import InvalidPayload, TooLarge
from rtserver.namespaces.chat.content import DATA_LIMIT, clean_data, clean_text


def test_text_is_trimmed_and_otherwise_unchanged() -> None:
    assert clean_text("  hello\n  world \t\n", 100) == "hello\n  world"
    assert clean_text("👩‍👩‍👧", 100) == "👩‍👩‍👧"


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\t", "\u200b", "\u200b\u200d \u2060", "\ufeff", "\u00ad", "\u2800", "\u3164", "\ufe0f", "\0"]
)
def test_text_without_visible_characters_is_empty(text: str) -> None:
    with pytest.raises(InvalidPayload):
        clean_text(text, 100)


def test_the_limit_applies_after_trimming() -> None:
    assert len(clean_text(" " * 50 + "x" * 100, 100)) == 100
    with pytest.raises(TooLarge) as caught:
        clean_text("x" * 101, 100)
    assert caught.value.details == {"field": "text", "limit": 100}


def test_nul_is_rejected_as_databases_cannot_store_it() -> None:
    with pytest.raises(InvalidPayload):
        clean_text("a\0b", 100)


@pytest.mark.parametrize("data", [None, 0, "text", [1, {"a": None}], {"nested": {"deep": [True, 1.5]}}])
def test_data_is_any_json(data: object) -> None:
    assert clean_data(data) == data


def test_data_of_more_than_16_kilobytes_is_too_large() -> None:
    assert clean_data("x" * (DATA_LIMIT - 2))
    with pytest.raises(TooLarge):
        clean_data("x" * (DATA_LIMIT - 1))
    with pytest.raises(TooLarge):
        clean_data({"text": "ü" * DATA_LIMIT})


@pytest.mark.parametrize("data", [b"bytes", {"file": b"bytes"}, [bytearray(b"x")], "\ud800"])
def test_data_that_json_cannot_express_is_rejected(data: object) -> None:
    with pytest.raises(InvalidPayload):
        clean_data(data)
