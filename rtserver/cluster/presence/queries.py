"""What Redis knows of who is online. Every question raises `Unavailable` when it does not answer in `PATIENCE`."""

from __future__ import annotations

from collections.abc import Sequence

from rtserver.cluster.presence.scripts import DEVICES, chunks
from rtserver.cluster.presence.user_ids import decode_user, decode_users, encode_user
from rtserver.cluster.redis.bus import RedisBus

PATIENCE = 0.25


class PresenceQueries:
    def __init__(self, bus: RedisBus, key: str) -> None:
        self._bus, self._key = bus, key

    async def online(self, users: Sequence[str]) -> set[str]:
        if not users:
            return set()
        since = await self._bus.ask("ZMSCORE", f"{self._key}:online", *map(encode_user, users), timeout=PATIENCE)
        return {user for user, when in zip(users, since, strict=True) if when is not None}

    async def all_online(self, limit: int) -> list[str]:
        if limit <= 0:
            return []
        return decode_users(await self._bus.ask("ZRANGE", f"{self._key}:online", 0, limit - 1, timeout=PATIENCE))

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for part in chunks(users):
            told = await self._bus.ask("EVAL", DEVICES, 1, self._key, *map(encode_user, part), timeout=PATIENCE)
            for user, instance, count in told:
                if count.isdigit():  # or somebody else has written there
                    found.setdefault(decode_user(user), {})[decode_user(instance)] = int(count[:9])
        return found
