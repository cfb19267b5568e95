"""rtserver in a cluster: the whole product, with an application's own namespace at `/`."""

from __future__ import annotations

import os
import sys
import tempfile

from rtserver import Client, Namespace, event
from rtserver.config.settings import Settings
from rtserver.process.serve import run_standalone


class Bench(Namespace, path="/"):
    auth = "none"

    @event("join", rate=None)
    async def join(self, client: Client, room: str) -> None:
        await client.join(room)

    @event("room", rate=None)
    async def room(self, client: Client, room: str, text: str) -> None:
        await self.to(room).emit("room", text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        settings = Settings(
            port=int(sys.argv[1]),
            redis_url=os.environ["BENCH_REDIS"],
            redis_adapter=os.environ["BENCH_ADAPTER"],
            namespaces=("cluster_rtserver:Bench",),
            log_level="warning",
        )
        run_standalone(settings)
