"""Presence queries: online users and their devices, as Redis has them.

Each raises `Unavailable` when Redis does not reply within `QUERY_TIMEOUT`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtserver.cluster.presence.scripts import DEVICES, chunks
from rtserver.cluster.presence.user_ids import decode_user, decode_users, encode_user
from rtserver.cluster.redis.bus import RedisBus

QUERY_TIMEOUT = 0.25
"""Seconds."""


class PresenceQueries:
    def __init__(self, bus: RedisBus, key: str) -> None:
        self._bus, self._key = bus, key

    async def online(self, users: Sequence[str]) -> set[str]:
        """Return those of `users` that are online."""
        if not users:
            return set()
        since = await self._bus.ask("ZMSCORE", f"{self._key}:online", *map(encode_user, users), timeout=QUERY_TIMEOUT)
        return {user for user, when in zip(users, since, strict=True) if when is not None}

    async def all_online(self, limit: int) -> list[str]:
        """Return up to `limit` users that are online, those first that came first."""
        if limit <= 0:
            return []
        return decode_users(await self._bus.ask("ZRANGE", f"{self._key}:online", 0, limit - 1, timeout=QUERY_TIMEOUT))

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the number of devices by user and instance."""
        found: dict[str, dict[str, int]] = {}
        for part in chunks(users):
            rows = await self._bus.ask("EVAL", DEVICES, 1, self._key, *map(encode_user, part), timeout=QUERY_TIMEOUT)
            for user, instance, count in rows:
                if count.isdigit():  # otherwise it was written by somebody else
                    found.setdefault(decode_user(user), {})[decode_user(instance)] = int(count[:9])
        return found
