"""Room tables against a model: which clients are selected, and that no entry is left behind."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.broadcast.target import Target


@dataclass(eq=False)
class Member:
    id: str
    rooms: set[str] = field(default_factory=set)


@pytest.fixture
def table():
    rooms = Rooms("/")
    for id in ("a", "b", "c"):
        rooms.add(Member(id))
    return rooms


def join(rooms, id, *names):
    rooms.join(rooms.clients[id], names)


def chosen(rooms, *to, without=()):
    return sorted(client.id for client in rooms.select(Target(rooms=to, except_=tuple(without))))


def test_a_target_without_rooms_addresses_all_clients(table):
    assert chosen(table) == ["a", "b", "c"]
    assert chosen(table, without=["b"]) == ["a", "c"]


def test_a_member_of_several_rooms_is_addressed_once(table):
    join(table, "a", "x", "y")
    join(table, "b", "y")
    assert chosen(table, "x", "y") == ["a", "b"]
    assert chosen(table, "x", "y", without=["x"]) == ["b"]
    assert chosen(table, "nobody") == []


def test_a_socket_id_is_a_room_with_one_member(table):
    assert chosen(table, "a") == ["a"]
    assert table.has("a")
    assert table.names() == {"a", "b", "c"}


def test_joining_the_id_of_another_client_receives_nothing_for_it(table):
    join(table, "b", "a")
    assert chosen(table, "a") == ["a"]
    assert chosen(table, without=["a"]) == ["b", "c"]


def test_a_client_that_is_not_accepted_yet_is_in_no_room(table):
    early = Member("early")
    table.join(early, ["x"])
    assert early.rooms == {"x"}
    assert chosen(table, "x") == []
    table.add(early)
    assert chosen(table, "x") == ["early"]


def test_a_client_that_left_is_in_no_room_table_but_keeps_its_rooms(table):
    join(table, "a", "x", "y")
    a = table.clients["a"]
    table.remove(a)
    table.remove(a)
    assert a.rooms == {"x", "y"}
    assert table.names() == {"b", "c"}
    table.join(a, ["z"])
    assert not table.has("z")


def test_leaving_a_room_that_was_never_joined_does_nothing(table):
    join(table, "a", "x")
    table.leave(table.clients["b"], ["x", "y"])
    assert chosen(table, "x") == ["a"]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "join", "leave"]), st.sampled_from("abcd"), st.sampled_from("xyza"))
)


@given(STEPS)
def test_both_directions_of_membership_always_agree(steps):
    rooms, known = Rooms("/"), {id: Member(id) for id in "abcd"}
    present: set[str] = set()
    for what, id, room in steps:
        client = known[id]
        match what:
            case "add" if id not in present:
                rooms.add(client)
                present.add(id)
            case "remove":
                rooms.remove(client)
                present.discard(id)
                known[id] = Member(id)
            case "join":
                rooms.join(client, [room])
            case "leave":
                rooms.leave(client, [room])
    for room in "xyz":
        assert chosen(rooms, room) == sorted(id for id in present if room in known[id].rooms)
    for id in present:
        rooms.remove(known[id])
    assert not rooms.names()
    assert not rooms._members
