"""Settings of the chat and of uploads."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from rtserver.config import field_types as kind
from rtserver.rate_limit import Rate

_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/(\*|[a-z0-9][a-z0-9.+-]*)")
_USUAL_TYPES = (
    "image/png", "image/jpeg", "image/gif", "image/webp", "audio/*", "video/*", "text/plain", "application/pdf",
    "application/zip",
)  # fmt: skip


def _listed(value: Any) -> Any:
    return tuple(part.strip().lower() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _media_types(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_TYPE.fullmatch, values)):
        raise ValueError("")
    return values


MediaTypes = Annotated[
    tuple[str, ...], BeforeValidator(_listed), AfterValidator(_media_types),
    kind.FieldRule("a list of media types such as image/png, video/*"),
]  # fmt: skip


class ChatSettings(BaseModel):
    """The group "Chat"."""

    GROUP: ClassVar[str] = "Chat"
    model_config = ConfigDict(defer_build=True)

    chat_max_text: kind.TextLength = 10_000
    """The longest text of a chat message, in characters."""
    chat_room_policy: kind.RoomPolicy = "open"
    """`open`: joining a room creates it. `members`: only users added through the HTTP API or by an admin may join.
    `role:NAME`: users with that role in the token may join. A room may have a policy of its own."""
    chat_sweep_seconds: kind.Seconds = 60.0
    """Seconds between two removals of messages whose retention is over."""


class UploadSettings(BaseModel):
    """The group "Uploads"."""

    GROUP: ClassVar[str] = "Uploads"
    model_config = ConfigDict(defer_build=True)

    upload_limit: kind.Count = 0
    """The largest file that users may upload, in bytes; 0 turns uploads off ([chat.md](chat.md#attachments))."""
    upload_quota: kind.Count = 100_000_000
    """The most bytes in all files of one user together; 0 is no limit."""
    upload_files: kind.Count = 10_000
    """The most files of one user; 0 is no limit."""
    rate_uploads: kind.EventRate = Rate(60, 60.0)
    """Uploads that one user begins on one instance, in bursts of up to twice that."""
    upload_types: MediaTypes = _USUAL_TYPES
    """The media types that may be uploaded."""
    upload_folder: kind.Folder | None = None
    """The folder of uploaded files; several instances need a shared one."""
