"""What the search has of a message.

A sentence in a script without spaces would be one long word, of which only the beginning could be found. So each two
neighbouring letters of one are a word, and so is the last alone: 去北京 becomes 去北, 北京, 京. A query of several
letters asks for its pairs in a row, a query of one for the words that begin with it. Letters alone would do too, but
each of them stands in so many messages that looking for two in a row means looking at all of these.
"""

from __future__ import annotations

import re

# Thai, Lao, Myanmar, Khmer, kana, Chinese characters, Hangul (which has spaces, but glues particles to its words).
_LETTER = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_RUN = re.compile(f"{_LETTER}+")
_LAST_PAIR = re.compile(rf"{_LETTER}{{2}}\Z")


def index_tokens(text: str) -> str | None:
    """`text` with the pairs of such letters in place of them; None where it has none."""
    if text.isascii() or _RUN.search(text) is None:
        return None
    return _RUN.sub(_pairs, text)


def query_tokens(word: str) -> tuple[str, bool]:
    """A word of a query as it stands in a text, and whether any word that begins so will do."""
    found = (index_tokens(word) or word).split()
    if _LAST_PAIR.search(word):
        found.pop()  # the text may go on there
    return " ".join(found), _RUN.fullmatch(found[-1]) is not None and len(found[-1]) == 1


def text_columns(text: str) -> dict[str, str | None]:
    """The two columns of a message that change with its text."""
    return {"text": text, "words": index_tokens(text)}


def _pairs(run: re.Match[str]) -> str:
    letters = run.group()
    return f" {' '.join(letters[at : at + 2] for at in range(len(letters)))} "
