"""Recent pushes: the last notifications that this instance has pushed, by user. Pure.

The numbers of an inbox that are pushed have gaps: a muted notification takes one, and so does a group that grows. So
the numbers themselves are kept, the last few of each user who has a device here.

1. A number is new once.
2. Beyond `KEPT` numbers, those below the lowest kept one count as pushed.
"""

from __future__ import annotations

from bisect import insort

KEPT = 64


class RecentPushes:
    """By user id; a user without devices is forgotten by the caller."""

    def __init__(self) -> None:
        self._seqs: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._seqs)

    def has(self, user: str, seq: int) -> bool:
        """Whether the notification was pushed, as far as is known."""
        seqs = self._seqs.get(user)
        return seqs is not None and (seq in seqs or (len(seqs) >= KEPT and seq < seqs[0]))

    def note(self, user: str, seq: int) -> bool:
        """Note a push; return whether it is new."""
        if self.has(user, seq):
            return False
        seqs = self._seqs.setdefault(user, [])
        insort(seqs, seq)
        if len(seqs) > KEPT:
            del seqs[0]
        return True

    def forget(self, user: str) -> None:
        """The user has no device here any more."""
        self._seqs.pop(user, None)
