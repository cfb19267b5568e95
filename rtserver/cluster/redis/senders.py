"""Senders of refused messages, as far as the bytes tell: for the log, so only what looks like an id is returned."""

from __future__ import annotations

import re

_ID = re.compile(rb"[\w.:-]{1,40}", re.ASCII)
_JSON_UID = re.compile(rb'\{"uid": ?"([\w.:-]{1,40})"', re.ASCII)
_HOST = re.compile(rb'"host_id": ?"([\w.:-]{1,40})"[^"]{0,20}\Z', re.ASCII)
_SHORT_TEXT = 0xA0
"""MessagePack: the first byte of a text of less than 32 bytes is this plus its length."""


def sender_of(channel: str, payload: bytes) -> dict[str, str]:
    """Return `channel`, without a room, and the `uid` of the server or emitter if the message begins with one.

    A message of python-socketio ends with the `host_id` of the process instead.
    """
    parts = channel.split("#", 2)
    sender = {"channel": ("#".join(parts[:2]) + "#" if len(parts) > 1 else channel)[:200]}
    uid = _packed_uid(payload[:80])
    if uid is None:
        found = _JSON_UID.match(payload[:80]) or _HOST.search(payload[-80:])
        uid = found[1] if found is not None else None
    if uid is not None:
        sender["uid"] = uid.decode()
    return sender


def _packed_uid(head: bytes) -> bytes | None:
    """Return the first item of an array of three (a broadcast), or the first value of a map that begins with uid."""
    if head[:1] == b"\x93":
        text = head[1:]
    elif head[1:5] == b"\xa3uid":
        text = head[5:]
    else:
        return None
    length = text[0] - _SHORT_TEXT if text else 0
    uid = text[1 : 1 + length] if 0 < length < 32 else b""
    return uid if len(uid) == length and _ID.fullmatch(uid) else None
