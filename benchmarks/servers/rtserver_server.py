"""rtserver by its public API: `Namespace`, `@event`, arguments checked by annotations, metrics and bounds on."""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop
from aiohttp import web

from rtserver import Client, Namespace, Runner, Server, event
from rtserver.http.metrics import MetricsPage
from rtserver.process.serve import calm_collector
from rtserver.telemetry.metrics import Metrics


class Bench(Namespace, path="/"):
    auth = "none"

    @event("echo", rate=None)
    async def echo(self, client: Client, text: str) -> str:
        return text

    @event("bcast", rate=None)
    async def bcast(self, client: Client, text: str) -> None:
        await self.emit("bcast", text)

    @event("join", rate=None)
    async def join(self, client: Client, room: str) -> None:
        await client.join(room)

    @event("room", rate=None)
    async def room(self, client: Client, room: str, text: str) -> None:
        await self.to(room).emit("room", text)


def registries(server: Server, namespace: Bench) -> web.RouteDef:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "sessions": len(server.connections),
                "clients": len(namespace.clients),
                "rooms": len(await namespace.all_rooms()),
            }
        )

    return web.get("/registries", handle)


async def main(port: int) -> None:
    metrics = Metrics()
    server = Server(
        metrics=metrics,
        ping_interval=float(os.environ.get("BENCH_PING_INTERVAL", "25")),
    )
    namespace = Bench()
    server.add_namespace(namespace)
    app = web.Application()
    app.add_routes([registries(server, namespace), *MetricsPage(metrics).routes()])
    server.attach(app)
    runner = Runner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    calm_collector()  # as `rtserver serve` does
    await asyncio.Event().wait()


uvloop.run(main(int(sys.argv[1])))
