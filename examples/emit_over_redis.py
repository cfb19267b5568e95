"""Emit a live event to connected clients through Redis, from another process. Delivered at most once.

REDIS_URL=redis://127.0.0.1:6379/0 python examples/emit_over_redis.py
"""

import asyncio
import os

from rtserver import Emitter


async def main() -> None:
    async with Emitter(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")) as emitter:
        await emitter.of("/chat").to("general").emit("maintenance", {"minutes": 5})
        # Every connection with a checked identity is in the room of its user.
        await emitter.of("/chat").to("user:alice").emit("maintenance", {"minutes": 5, "personally": True})


if __name__ == "__main__":
    asyncio.run(main())
