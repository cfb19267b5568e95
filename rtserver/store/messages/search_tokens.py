"""Search tokens: the words under which a message is indexed, also in scripts without spaces.

In a script without spaces a sentence would be one long word, of which only the beginning could be found. Therefore each
pair of neighbouring letters is a token (a bigram), and so is the last letter: 去北京 becomes 去北, 北京, 京. A query of
several letters looks for its pairs in a row, a query of one letter for the tokens that begin with it. Single letters as
tokens would work too, but each is in so many messages that a search for two in a row would read most of them.
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
    """`text` with its letters of such scripts replaced by pairs; None where it has none."""
    if text.isascii() or _RUN.search(text) is None:
        return None
    return _RUN.sub(_pairs, text)


def query_tokens(word: str) -> tuple[str, bool]:
    """The tokens of a query word, and whether the last one may be the beginning of a token."""
    found = (index_tokens(word) or word).split()
    if _LAST_PAIR.search(word):
        found.pop()  # the text may continue after the last letter
    return " ".join(found), _RUN.fullmatch(found[-1]) is not None and len(found[-1]) == 1


def text_columns(text: str) -> dict[str, str | None]:
    """The two columns that depend on the text of a message."""
    return {"text": text, "words": index_tokens(text)}


def _pairs(run: re.Match[str]) -> str:
    letters = run.group()
    return f" {' '.join(letters[at : at + 2] for at in range(len(letters)))} "
