"""Positions: how far a numbered sequence was delivered to the clients of this instance, by the name of the sequence.

The messages of a room are numbered without gaps (`seq`), and so are its changes (`rev`). An instance that knows the
last number that it has delivered can tell what a fault has cost: whatever the database has above it. Numbers usually
come in order. Two instances may overtake each other, so a number may also come early, and the hole is filled a moment
later. A hole that stays open is a loss.

    top     everything from `first` up to it was delivered
    first   the first number that was delivered while the past was unknown; 0 where the past is known
    ahead   numbers beyond a hole

1. A number is new once: `note` returns False when it comes again.
2. The common case, the next number, costs one look-up.
3. `gaps` names the sequences with a hole. `on_gap` is called when one is added.
4. Numbers come from other servers, so what is kept for a hole is bounded: beyond `MAX_AHEAD` a number counts as new.
   The first number of an unknown past is believed up to that distance from what is saved.

Pure, but for the callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

MAX_AHEAD = 1_000


class Track:
    """The position in one sequence."""

    __slots__ = ("ahead", "first", "top")

    def __init__(self, top: int, first: int) -> None:
        self.top = top
        self.first = first
        self.ahead: set[int] | None = None

    def has(self, number: int) -> bool:
        """Whether the number was delivered. One below `first` counts as not delivered."""
        return self.first <= number <= self.top or (self.ahead is not None and number in self.ahead)

    def raise_to(self, number: int) -> None:
        """Count everything up to `number` as delivered."""
        self.top = max(self.top, number)
        if self.ahead is not None:
            while self.top + 1 in self.ahead:
                self.top += 1
            self.ahead = {one for one in self.ahead if one > self.top or one < self.first} or None


class Positions:
    """The tracks of many sequences."""

    def __init__(self, on_gap: Callable[[], None]) -> None:
        self._tracks: dict[str, Track] = {}
        self._on_gap = on_gap
        self.gaps: set[str] = set()

    def __len__(self) -> int:
        return len(self._tracks)

    def __contains__(self, name: str) -> bool:
        return name in self._tracks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tracks)

    def get(self, name: str) -> Track | None:
        """The track of a sequence, None where nothing is known of it."""
        return self._tracks.get(name)

    def begin(self, name: str, top: int) -> None:
        """Begin to track a sequence whose past, up to `top`, is known to be delivered."""
        self._tracks[name] = Track(top, 0)

    def forget(self, name: str) -> None:
        """Nobody here follows the sequence any more."""
        self._tracks.pop(name, None)
        self.gaps.discard(name)

    def note(self, name: str, number: int) -> bool:
        """Note a number that is being delivered; return whether it is new."""
        track = self._tracks.get(name)
        if track is not None and track.ahead is None and number == track.top + 1:
            track.top = number
            return True
        return self._note_out_of_order(name, track, number)

    def _note_out_of_order(self, name: str, track: Track | None, number: int) -> bool:
        if track is None:
            self._tracks[name] = Track(number, number if number > 1 else 0)
            return True
        if track.has(number):
            return False
        if number == track.top + 1:
            track.raise_to(number)
        elif number == track.first - 1:
            track.first = number
        else:
            track.ahead = track.ahead or set()
            if len(track.ahead) < MAX_AHEAD:
                track.ahead.add(number)
        if self._has_hole(track):
            self.gaps.add(name)
            self._on_gap()
        else:
            self.gaps.discard(name)
        return True

    @staticmethod
    def _has_hole(track: Track) -> bool:
        return track.ahead is not None and any(number > track.top for number in track.ahead)

    def beyond_holes(self, name: str) -> frozenset[int]:
        """The numbers that came early, for `settle`."""
        track = self._tracks.get(name)
        return frozenset(track.ahead or ()) if track is not None else frozenset()

    def settle(self, name: str, top: int, early: frozenset[int] = frozenset()) -> None:
        """What is missing up to `top`, the last number that is saved, was delivered or does not exist any more.

        `early`: what `beyond_holes` returned before `top` was read; one above `top` was never saved, so nothing waits
        for the numbers before it.
        """
        track = self._tracks.get(name)
        if track is None or (track.first and track.top > top + MAX_AHEAD):
            self.begin(name, top)
            self.gaps.discard(name)
            return
        track.first = 0
        if track.ahead is not None:
            track.ahead.difference_update([number for number in early if number > top])
        track.raise_to(top)
        if track.ahead is None:
            self.gaps.discard(name)
