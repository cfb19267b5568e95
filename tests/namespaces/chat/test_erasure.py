"""Erasure of a user in one process: when it is done, and what other servers may send."""

from collections.abc import Sequence
from typing import Any

import pytest

from rtserver.cluster.partial_results import PartialList
from rtserver.cluster.presence.instances import Instance
from rtserver.namespaces.chat import Chat
from rtserver.namespaces.chat import erasure as erasure_module
from rtserver.namespaces.chat.erasure import UserErasure
from rtserver.namespaces.chat.room_admin import RoomChange
from rtserver.store.erasure.erase_user import EraseUser
from tests.namespaces.chat.conftest import Join


class Registry:
    def __init__(self, *ids: str, partial: bool = False) -> None:
        self._ids, self._partial = ids, partial

    async def instances(self) -> PartialList[Instance]:
        found = [
            Instance(id=id_, version="", started="", host="", pid=1, draining=False, connections={})
            for id_ in self._ids
        ]
        return PartialList(found, partial=self._partial)


def erasure(chat: Chat, registry: Registry | None) -> UserErasure:
    async def announce(removed: Sequence[tuple[str, str]]) -> None:
        assert not removed

    store = EraseUser(chat._rooms._db)  # type: ignore[attr-defined]
    evict = chat.poster.direct_rooms.evict
    return UserErasure(chat, store, None, chat.expulsions, registry, evict, announce, [], chat.delivery)


async def test_erasure_is_done_when_every_server_has_confirmed_it(chat: Chat, person: Join) -> None:
    eve = await person("eve")
    own = chat.server.instance_id
    for registry, done in (
        (Registry(own, "silent"), False),
        (Registry(own, partial=True), False),
        (Registry(own), True),
        (None, True),
    ):
        await eve.call("message", {"to": "bob", "text": "secret"})
        result = await erasure(chat, registry).erase("eve", "shop")
        assert result.done is done
        assert result.counts["messages"] == 1, "what can be erased is erased"
        await eve.disconnected()
        await eve.connect()


async def test_the_user_is_refused_until_the_erasure_ends_or_its_server_is_dead(
    chat: Chat, person: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.server.use(chat.expulsions.check)  # type: ignore[attr-defined]
    eve, bob = await person("eve"), await person("bob")
    assert await chat.on_user_expelled("eve", "mark") == [chat.server.instance_id, True]
    assert await chat.on_user_expelled("eve", "other") == [chat.server.instance_id, True]
    await chat.on_user_erased("eve", "other")
    await eve.disconnected()
    await eve.set_auth(token="eve")
    await eve._ask("connect")
    assert (await eve.connect_error())["data"]["code"] == "unavailable"
    await bob.call("rooms")
    monkeypatch.setattr(erasure_module, "EXPELLED_SECONDS", 0.0)
    await chat.on_user_expelled("eve", "mark")
    await eve.connect()


async def test_a_flood_of_forged_erasures_is_bounded(chat: Chat, person: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure_module, "MAX_EXPELLED", 10)
    eve = await person("eve")
    answers = [await chat.on_user_expelled(f"u{number}", "mark") for number in range(12)]
    assert [silent for _, silent in answers] == [True] * 10 + [False] * 2
    assert await chat.on_user_expelled("eve", "mark") == [chat.server.instance_id, False]
    assert (await eve.call("rooms"))["ok"], "who cannot be kept out is not expelled either"
    await chat.on_user_erased("u3", "mark")
    assert (await chat.on_user_expelled("eve", "mark"))[1]
    await eve.disconnected()


@pytest.mark.parametrize("args", [(), (1,), (None, None), ("eve",), ("eve", 7), ({}, []), ("a", "b", "c")])
async def test_malformed_messages_of_other_servers_expel_nobody(
    chat: Chat, person: Join, args: tuple[Any, ...]
) -> None:
    eve = await person("eve")
    assert await chat.on_user_expelled(*args) == [chat.server.instance_id, False]
    await chat.on_user_erased(*args)
    assert (await eve.call("rooms"))["ok"]


@pytest.mark.parametrize(
    "args",
    [
        (), (1,), ("board", 1), ("board", None), ("board", True, "eve"), ("board", True, [1]),
        ("board", True, [], "told"), ("board", True, [], {}, 5), (["board"],), ({"room": "board"},),
    ],
)  # fmt: skip
def test_malformed_changes_of_other_servers_are_ignored(args: tuple[Any, ...]) -> None:
    assert RoomChange.received(args) is None


@pytest.mark.parametrize(
    ("args", "change"),
    [
        (("board",), RoomChange("board")),
        (("board", True), RoomChange("board", True)),
        (("board", False, ["eve"], None), RoomChange("board", False, ["eve"])),
        (("board", True, [], {"meta": None}), RoomChange("board", True, [], {"meta": None})),
    ],
)
def test_changes_of_other_servers_are_read(args: tuple[Any, ...], change: RoomChange) -> None:
    found = RoomChange.received(args)
    assert found is not None
    assert (found.room, found.policy, list(found.removed), found.told) == (
        change.room, change.policy, list(change.removed), change.told
    )  # fmt: skip
