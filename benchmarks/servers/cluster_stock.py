"""python-socketio in a cluster: its Redis manager, aiohttp on uvloop."""

from __future__ import annotations

import asyncio
import os
import sys

import socketio
import uvloop
from aiohttp import web

sio = socketio.AsyncServer(
    async_mode="aiohttp",
    client_manager=socketio.AsyncRedisManager(os.environ["BENCH_REDIS"]),
)


@sio.event
async def join(sid: str, room: str) -> None:
    await sio.enter_room(sid, room)


@sio.event
async def room(sid: str, room: str, text: str) -> None:
    await sio.emit("room", text, room=room)


async def main(port: int) -> None:
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main(int(sys.argv[1])))
