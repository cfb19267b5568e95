"""What the search has of a message.

A sentence in a script without spaces would be one long word, of which only the beginning could be found: so each of its
letters counts as a word, and a query of several asks for all in a row.
"""

from __future__ import annotations

import re

# Thai, Lao, Myanmar, Khmer, kana, Chinese characters, Hangul (which has spaces, but glues particles to its words).
_LETTER = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)


def spaced(text: str) -> str | None:
    """`text` with its letters apart; None where that changes nothing."""
    if text.isascii() or _LETTER.search(text) is None:
        return None
    return _LETTER.sub(r" \g<0> ", text)


def text_columns(text: str) -> dict[str, str | None]:
    """The two columns of a message that change with its text."""
    return {"text": text, "words": spaced(text)}
