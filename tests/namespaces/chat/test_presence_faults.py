"""The chat works while the presence service is down."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from rtserver.cluster.partial_results import PartialSet
from rtserver.errors import Unavailable
from rtserver.namespaces.chat.interfaces import RoomStore
from rtserver.namespaces.chat.presence import Online
from rtserver.sio.client.client import Client


class Down:
    async def connected(self, user: str, sid: str) -> None:
        raise Unavailable

    async def disconnected(self, user: str, sid: str) -> None:
        raise Unavailable

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        raise Unavailable

    def subscribe(self, callback: Callable[[str, bool], Awaitable[None]]) -> None: ...


class Somebody:
    id = "sid"


async def test_chat_works_without_presence_and_members_appear_offline() -> None:
    online = Online(Down(), cast(RoomStore, None))
    client = cast(Client, cast(Any, Somebody()))
    await online.connected(client, "alice")
    await online.disconnected(client, "alice")
    nobody = await online.known_online(["alice", "bob"])
    assert nobody == set()
    assert nobody.partial
