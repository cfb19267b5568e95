"""python-socketio with default settings, in its fastest ordinary set-up: aiohttp on uvloop."""

from __future__ import annotations

import asyncio
import os
import sys

import socketio
import uvloop
from aiohttp import web

sio = socketio.AsyncServer(
    async_mode="aiohttp",
    ping_interval=float(os.environ.get("BENCH_PING_INTERVAL", "25")),
)


@sio.event
async def echo(sid: str, text: str) -> str:
    return text


@sio.event
async def bcast(sid: str, text: str) -> None:
    await sio.emit("bcast", text)


@sio.event
async def join(sid: str, room: str) -> None:
    await sio.enter_room(sid, room)


@sio.event
async def room(sid: str, room: str, text: str) -> None:
    await sio.emit("room", text, room=room)


async def registries(request: web.Request) -> web.Response:
    rooms = sio.manager.rooms.get("/", {})
    return web.json_response(
        {
            "sessions": len(sio.eio.sockets),
            "clients": len(rooms.get(None, ())),
            "rooms": len(rooms),
        }
    )


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_get("/registries", registries)
    sio.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main(int(sys.argv[1])))
