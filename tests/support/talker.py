"""Chat client that follows the guide: it repeats messages without an ack, and syncs after each reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.support.js_client import JsClient, JsError

ROOM = "lobby"
FOREVER = 3600.0


class Talker:
    """One user in one room, on a series of clients."""

    def __init__(self, client: JsClient, name: str) -> None:
        self.client = client
        self.name = name
        self.said: set[int] = set()
        self._fetched: set[int] = set()
        self._clients = [client]
        self._watching = [asyncio.create_task(self._catch_up(client))]

    @property
    def heard(self) -> set[int]:
        return self.said.union(self._fetched, *(map(seqs, self._clients)))

    async def talk(self, until: asyncio.Event) -> None:
        number = 0
        while not until.is_set():
            number += 1
            answer: dict[str, Any] = {"ok": False}
            while not answer["ok"]:
                answer = await self._say(number)
            self.said.add(answer["message"]["seq"])
            await asyncio.sleep(0.05)

    async def _say(self, number: int) -> dict[str, Any]:
        client = self.client
        text = {"room": ROOM, "text": f"{self.name} {number}", "nonce": f"{self.name}-{number}"}
        try:
            answer: dict[str, Any] = await client.call("message", text, seconds=10)
            if not answer["ok"]:
                assert answer["error"]["code"] == "room_not_joined"
                await client.call("join", {"room": ROOM})
        except JsError:  # "socket has been disconnected"
            while not self.client.is_connected:  # noqa: ASYNC110 - by then it may be another one
                await asyncio.sleep(0.01)
            return {"ok": False}
        return answer

    async def move(self, client: JsClient) -> None:
        """Continue on another connected client, which repeats all messages without an ack."""
        left, self.client = self.client, client
        self._clients.append(client)
        self._watching.append(asyncio.create_task(self._catch_up(client)))
        await left.disconnect()

    async def _catch_up(self, client: JsClient) -> None:
        while True:
            await client._next("socket", "connect", seconds=FOREVER)
            try:
                await client.call("join", {"room": ROOM})
                await self.fetch(client)
            except JsError:
                continue  # Disconnected again: the next connect does it.

    async def fetch(self, client: JsClient) -> None:
        """Fetch all messages from the first gap on."""
        more = True
        while more:
            known, after = self.heard, 0
            while after + 1 in known:
                after += 1
            page = await client.call("history", {"room": ROOM, "after": after})
            self._fetched |= {message["seq"] for message in page["messages"]}
            more = page["more"]

    async def stop(self) -> None:
        for task in self._watching:
            task.cancel()

    def assert_told_once(self) -> None:
        """Fail if a client received a message twice."""
        for client in self._clients:
            told = [message["seq"] for (message,) in client.received("message")]
            assert len(told) == len(set(told)), client._story()


def seqs(client: JsClient) -> set[int]:
    return {message["seq"] for (message,) in client.received("message")}


async def until_all_heard(talkers: Iterable[Talker], said: set[int]) -> None:
    missing: dict[str, set[int]] = {}
    for _ in range(200):
        missing = {talker.name: said - talker.heard for talker in talkers if said - talker.heard}
        if not missing:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not everything arrived: {missing}")
