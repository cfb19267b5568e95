"""The payloads that clients send to /notifications."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00]+\Z")]
Ids = Annotated[list[Id], Meta(max_length=1000)]


class ListPayload(Struct, frozen=True):
    """`list`: newest first; `before` is the `seq` to go on from."""

    before: Seq | None = None
    limit: Limit = 50
    unread: bool = False


class ReadPayload(Struct, frozen=True):
    """`read`: some by id, or all of them."""

    ids: Ids | None = None
    all: bool = False

    def __post_init__(self) -> None:
        if (self.ids is not None) == self.all:
            raise ValueError("Give either `ids` or `all: true`")


class DeletePayload(Struct, frozen=True):
    """`delete`."""

    ids: Ids


NEWEST = ListPayload()
