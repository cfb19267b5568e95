"""Searches of one user for a text without spaces, on eight sockets, in a room of long messages without spaces."""

from __future__ import annotations

import asyncio

import aiohttp

from rig.attacks.target import Client, Target

SOCKETS = 8
SEARCHES = 6
MESSAGES = 100
ROOM = {"room": "wall"}
TEXT = "哈" * 9_999


async def run(target: Target) -> None:
    async with aiohttp.ClientSession() as session:
        clients = [await target.client(session, "eve") for _ in range(SOCKETS)]
        await clients[0].call("join", ROOM)
        for number in range(MESSAGES):
            await clients[0].call("message", ROOM | {"text": TEXT + chr(0x4E00 + number)})
        await asyncio.gather(*map(_search, clients))
        for client in clients:
            await client.socket.close()


async def _search(client: Client) -> None:
    for _ in range(SEARCHES):
        await client.call("search", ROOM | {"query": "哈" * 199 + "去"})
