"""Payloads that clients send to /notifications."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from rtserver.store.notifications.quiet_hours import QuietHours
from rtserver.store.notifications.records import Preferences

Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00]+\Z")]
Ids = Annotated[list[Id], Meta(max_length=1000)]
Word = Annotated[str, Meta(max_length=200, pattern=r"\A[^\x00]+\Z")]


class Nothing(Struct, frozen=True):
    """`unread`, `preferences`."""


class ListPayload(Struct, frozen=True):
    """`list`: newest first. `before`: the `seq` where the previous page ended."""

    before: Seq | None = None
    limit: Limit = 50
    unread: bool = False
    type: Word | None = None


class MarkPayload(Struct, frozen=True, rename="camel"):
    """`read` and `seen`: by id, all up to a `seq`, or all."""

    ids: Ids | None = None
    all: bool = False
    up_to: Seq | None = None

    def __post_init__(self) -> None:
        if (self.ids is not None) + (self.up_to is not None) + self.all != 1:
            raise ValueError("Give one of `ids`, `upTo` and `all: true`")

    def which(self, changed: list[str]) -> dict[str, Any]:
        """The payload for the other devices: what the client gave, with only the ids that changed."""
        if self.up_to is not None:
            return {"upTo": self.up_to}
        return {"all": True} if self.all else {"ids": changed}


class IdsPayload(Struct, frozen=True):
    """`delete` and `delivered`."""

    ids: Ids


class QuietPayload(QuietHours, frozen=True, rename="camel"):
    """Quiet hours, checked when they are set, so that saved ones are always valid."""

    def __post_init__(self) -> None:
        if fault := self.fault():
            raise ValueError(fault)


class PreferencesPayload(Struct, frozen=True, rename="camel"):
    """`setPreferences`: fields that are left out stay as they are."""

    muted_types: Annotated[list[Word], Meta(max_length=100)] | UnsetType = UNSET
    muted_rooms: Annotated[list[Word], Meta(max_length=500)] | UnsetType = UNSET
    quiet_hours: QuietPayload | UnsetType | None = UNSET

    def applied_to(self, current: Preferences) -> Preferences:
        """The new preferences."""
        types, rooms, hours = self.muted_types, self.muted_rooms, self.quiet_hours
        return Preferences(
            current.muted_types if types is UNSET else tuple(dict.fromkeys(types)),
            current.muted_rooms if rooms is UNSET else tuple(dict.fromkeys(rooms)),
            current.quiet_hours if hours is UNSET else hours,
        )


NOTHING = Nothing()
NEWEST = ListPayload()
