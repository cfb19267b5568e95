"""Search words: what a query asks for.

1. A query is a list of words. Everything between them is dropped, so that clients cannot use or break the query
   language of the database.
2. All words must occur, in any order; the last one may be the beginning of a word. In scripts without spaces every part
   of a sentence is a word.
3. What a word costs is bounded before anything is read: `MAX_WORDS` words, `MAX_TOKENS` tokens. What follows them in
   the query is ignored.
"""

from __future__ import annotations

import re

from rtserver.store.messages.search_tokens import query_tokens

MAX_WORDS = 10
MAX_TOKENS = 16
"""Tokens of all words together. A sentence without spaces is a row of pairs, and the database compares each with all
the places where it stands."""
MIN_PREFIX = 3
"""Letters that the last word needs to be a prefix: a shorter one would match a large part of the index."""
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_GAPS = re.compile(rf"[\s\0{re.escape(PUNCTUATION)}]+")

Word = tuple[str, bool]
"""Tokens that must occur in a row, separated by spaces, and whether the last one may be a prefix."""


def words_of(query: str) -> list[Word]:
    """The words of a query that can be indexed: each has a letter or a digit."""
    words: list[Word] = []
    left = MAX_TOKENS
    for word in [word for word in _GAPS.split(query) if any(map(str.isalnum, word))][:MAX_WORDS]:
        text, open_ended = query_tokens(word)
        tokens = text.split()
        words.append((" ".join(tokens[:left]), open_ended and len(tokens) <= left))
        left -= len(tokens)
        if left <= 0:
            break
    if words:
        text, open_ended = words[-1]
        words[-1] = (text, open_ended or len(text.rpartition(" ")[2]) >= MIN_PREFIX)
    return words
