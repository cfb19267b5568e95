r"""Redis keys of room presence, and their scripts. `scripts` describes the other keys, and the rules.

    P:in:<i>    zset  of instance i, all scores 0: `namespace \0 room \0 user \0 devices` for each user of each room,
                      and `\xff epoch` once the report is complete in this epoch
    P:new:<i>   zset  the same, while everything is reported again

One key per instance: a heartbeat renews it and the death of the instance ends it, whatever is in it. A room is a range
of it, ordered by user id: \0 sorts before anything that may follow in a longer name. A \0 within a name is written
\0\xff, which does not occur in UTF-8.
"""

from __future__ import annotations

from rtserver.cluster.presence.scripts import PACKAGE
from rtserver.cluster.presence.user_ids import decode_user, encode_user
from rtserver.cluster.redis.lua import load_script

END = b"\xff"

REPORT_ROOMS = load_script(PACKAGE, "report_rooms")
COMPLETE_ROOMS = load_script(PACKAGE, "complete_rooms")
ROOM_PAGE = load_script(PACKAGE, "prelude", "room_prelude", "room_page")
ROOM_MEMBERS = load_script(PACKAGE, "prelude", "room_prelude", "room_members")


def prefix(*parts: str) -> bytes:
    """Return the prefix of the entries of a room (namespace, room), or of a user in one (namespace, room, user)."""
    return b"".join(encode_user(part).replace(b"\0", b"\0\xff") + b"\0" for part in parts)


def suffix(entry: bytes) -> tuple[str, bytes]:
    """Return user and number of devices of an entry without the prefix of its room."""
    user, _, devices = entry.rpartition(b"\0")
    return decode_user(user.replace(b"\0\xff", b"\0")), devices
