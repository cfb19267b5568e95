"""Numbering of messages, without a database."""

from itertools import count

from rtserver.store.messages.append import number
from rtserver.store.messages.records import Author, Draft, Message

ANN = Author("ann", "Ann")


def test_a_known_nonce_takes_no_number_and_the_next_draft_no_gap() -> None:
    known = Message("old", 3, "lobby", ANN, "first", "then", nonce="n")
    ids = count(1)
    drafts = [
        Draft("lobby", ANN, "a"),
        Draft("lobby", ANN, "b", nonce="n"),
        Draft("lobby", ANN, "c", nonce="m"),
        Draft("lobby", ANN, "d", nonce="m"),
        Draft("lobby", ANN, "e"),
    ]
    answers = number(drafts, {"lobby": 3}, {("ann", "lobby", "n"): known}, lambda: str(next(ids)), "now")
    assert [(m.id, m.seq, new) for m, new in answers] == [
        ("1", 4, True),
        ("old", 3, False),
        ("2", 5, True),
        ("2", 5, False),
        ("3", 6, True),
    ]
