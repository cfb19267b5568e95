"""Room settings as requests have them, over HTTP and from chat clients: schemas and bounds."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rtserver.errors import TooLarge
from rtserver.protocol import json
from rtserver.store.rooms.room_settings import FIELDS

MAX_META_BYTES = 4096
_POLICY = re.compile(r"open|members|role:[^\s\x00-\x1f]{1,100}")
_YEARS = 10 * 366 * 24 * 3600

Policy = Annotated[
    str,
    Meta(
        max_length=105,
        pattern=r"^(open|members|role:[^\s\x00-\x1f]{1,100})$",
        description="`open`, `members`, or `role:` and the name of one; null is the server's default",
    ),
]
Slow = Annotated[int, Meta(ge=0, le=86_400, description="Seconds between two messages of one user; null or 0: none")]
KeepSeconds = Annotated[int, Meta(ge=1, le=_YEARS, description="How long messages are kept; null: for ever")]
KeepCount = Annotated[int, Meta(ge=1, le=2**31, description="How many messages are kept; null: all")]
Described = Annotated[dict[str, Any], Meta(description="Title, topic, picture: any JSON object of at most 4 kB")]


class RoomChanges(msgspec.Struct, kw_only=True, rename="camel"):
    """Changes of a room. A missing field stays as it is; null stands for the default."""

    policy: Policy | UnsetType | None = UNSET
    meta: Described | UnsetType | None = UNSET
    read_only: bool | UnsetType | None = UNSET
    slow_seconds: Slow | UnsetType | None = UNSET
    keep_seconds: KeepSeconds | UnsetType | None = UNSET
    keep_count: KeepCount | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.policy, str) and _POLICY.fullmatch(self.policy) is None:
            raise ValueError("`policy` must be `open`, `members` or `role:NAME`")

    @property
    def changes(self) -> dict[str, Any]:
        """The changes by the column names of the store; raises `TooLarge` if `meta` is too large."""
        given = {name: value for name in FIELDS if (value := getattr(self, name)) is not UNSET}
        if given.get("meta") is not None and len(json.dumps(given["meta"])) > MAX_META_BYTES:
            limit = {"field": "meta", "limit": MAX_META_BYTES}
            raise TooLarge(f"`meta` has at most {MAX_META_BYTES} bytes of JSON", details=limit)
        if given.get("read_only", UNSET) is None:
            given["read_only"] = False
        if given.get("slow_seconds") == 0:
            given["slow_seconds"] = None
        return given
