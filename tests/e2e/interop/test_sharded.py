"""rtserver and Node's Socket.IO servers with `createShardedAdapter` are one cluster, both ways: runs the tests of the
classic adapter."""

import asyncio
from types import FunctionType

import pytest
import redis.asyncio

from tests.e2e.interop import test_classic as classic
from tests.e2e.interop.members import Cluster
from tests.support.eventually import eventually

pytestmark = pytest.mark.parametrize("members", ["sharded"], indirect=True, scope="module")

THE_SAME = (
    "test_a_broadcast_collects_the_acks_of_every_server",
    "test_a_broadcast_reaches_the_members_of_rooms_but_not_the_excepted",
    "test_a_fetched_socket_can_be_used_wherever_it_is",
    "test_a_thousand_events_arrive_in_order",
    "test_missing_acks_raise_an_error_with_those_that_came",
    "test_bytes_of_a_server_side_emit_reach_node",
    "test_every_kind_of_value_arrives_as_it_was_sent",
    "test_fetch_sockets_returns_all_sockets_without_secrets",
    "test_flags_work_across_servers",
    "test_rooms_with_numbers_as_names_are_reached",
    "test_server_side_emit_reaches_the_other_servers",
    "test_sockets_are_moved_between_rooms_and_disconnected",
)


def again(test: FunctionType) -> FunctionType:
    """The same test for the servers of this module."""
    copy = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    copy.__annotations__ = test.__annotations__
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.args[:1] != ("members",)]
    copy.pytestmark = marks  # type: ignore[attr-defined]
    return copy


for _name in THE_SAME:
    globals()[_name] = again(getattr(classic, _name))


async def test_a_room_has_a_subscription_while_it_has_members(cluster: Cluster) -> None:
    """Only servers with members of the room are subscribed: one subscription each."""
    async with redis.asyncio.Redis.from_url(cluster.redis.url) as client:

        async def listened_by(count: int) -> bool:
            return await cluster.listeners(client, cluster.room) == count

        assert await listened_by(0)
        first, *others = await cluster.clients(cluster.room)
        assert await listened_by(3)
        await asyncio.gather(*(other.disconnect() for other in others))
        await eventually(lambda: listened_by(1))
        await first.disconnect()
        await eventually(lambda: listened_by(0))


async def test_all_rooms_returns_the_rooms_of_every_server(cluster: Cluster) -> None:
    """Node has no such request in this protocol; rtserver collects the rooms of the sockets."""
    clients = await cluster.clients(cluster.room)
    found = await cluster.rts[0].ask(("allRooms",))
    assert {cluster.room, *(client.id for client in clients)} <= set(found["value"])
    assert found["partial"] is False
