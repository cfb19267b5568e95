"""Servers that Redis still counts and that do not answer: a process that hangs, a machine that lost its network.

Answers of this protocol bear no name, so it is their number that is remembered. Pure. Rules:
1. Who was missing when time was up is silent. The next request waits for the others, and for the silent ones no longer
   than the grace after these: nobody waits for a dead server twice.
2. A complete answer, or a late one, takes that back.
"""

from __future__ import annotations

from rtserver.protocol.adapter import Response


class Silence:
    """`grace`: seconds that a silent server still has once all others have answered."""

    __slots__ = ("count", "grace")

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.count = 0

    def missed(self, servers: int) -> None:
        """So many did not answer the last request; 0: all did."""
        self.count = servers

    def take(self, response: Response) -> None:
        """The answer to a request that is over: one of them is back."""
        self.count = max(0, self.count - 1)
