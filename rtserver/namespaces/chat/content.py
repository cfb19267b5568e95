"""Content rules of messages: text, data and reactions. Pure."""

from __future__ import annotations

import unicodedata
from typing import Any

from rtserver.errors import InvalidPayload, TooLarge
from rtserver.protocol import json

DATA_LIMIT = 16_384
"""Bytes of JSON."""
EMOJI_LIMIT = 32
"""Characters. The longest emoji have about ten; short names such as ":thumbs_up:" are allowed too."""
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
# Letters and marks that draw nothing: joiners, fillers, the empty Braille cell, variation selectors.
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | _SELECTORS
# Bidirectional controls: they change the direction of neighbouring text.
_BIDI_CONTROLS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def clean_text(text: str, limit: int) -> str:
    """The trimmed text. Raises `InvalidPayload` for text without visible characters, `TooLarge` beyond `limit`."""
    text = text.strip()
    if len(text) > limit:
        raise TooLarge(f"A text has at most {limit} characters", details={"field": "text", "limit": limit})
    if not any(_visible(char) for char in text):
        raise InvalidPayload("A text must not be empty", details={"field": "text"})
    if "\0" in text:
        raise InvalidPayload("A text must not contain NUL", details={"field": "text"})
    return text


def clean_data(data: Any, limit: int = DATA_LIMIT) -> Any:
    """`data` itself. Raises `InvalidPayload` for what JSON cannot express (bytes), `TooLarge` beyond `limit` bytes."""
    if data is None:
        return None
    try:
        encoded = json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"data is not JSON: {error}", details={"field": "data"}) from None
    if len(encoded) > limit:
        raise TooLarge(f"data has at most {limit} bytes of JSON", details={"field": "data", "limit": limit})
    return data


def clean_emoji(emoji: str) -> str:
    """The trimmed reaction: 1 to 32 characters, one of them visible, without white space or controls.

    Raises `InvalidPayload`.
    """
    emoji = emoji.strip()
    controls = any(
        char.isspace() or char in _BIDI_CONTROLS or unicodedata.category(char) in ("Cc", "Cs") for char in emoji
    )
    if len(emoji) > EMOJI_LIMIT or controls or not any(map(_visible, emoji)):
        raise InvalidPayload(f"A reaction has 1 to {EMOJI_LIMIT} visible characters", details={"field": "emoji"})
    return emoji


def _visible(char: str) -> bool:
    return char not in _BLANK and unicodedata.category(char) not in _INVISIBLE_CATEGORIES
