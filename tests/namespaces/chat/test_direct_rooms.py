"""Names of direct rooms."""

from hypothesis import given
from hypothesis import strategies as st

from rtserver.namespaces.chat.conversation import direct_room, partner_in

users = st.text(alphabet="ab:%3A25", min_size=1, max_size=8) | st.text(min_size=1, max_size=20)


def test_the_name_of_a_direct_room() -> None:
    assert direct_room("bob", "alice") == "dm:alice:bob"
    assert direct_room("a:b", "100%") == "dm:100%25:a%3Ab"


@given(users, users)
def test_both_see_the_same_room_and_each_finds_the_other_in_it(one: str, other: str) -> None:
    room = direct_room(one, other)
    assert room == direct_room(other, one)
    assert partner_in(room, one) == other
    assert partner_in(room, other) == one


@given(users, users, users, users)
def test_two_pairs_never_share_a_room(a: str, b: str, c: str, d: str) -> None:
    assert (direct_room(a, b) == direct_room(c, d)) == ({a, b} == {c, d})


@given(users, users, users)
def test_a_third_user_is_not_in_a_direct_room(a: str, b: str, third: str) -> None:
    if third not in (a, b):
        assert partner_in(direct_room(a, b), third) is None


def test_a_name_with_unsorted_users_is_no_direct_room() -> None:
    assert partner_in("dm:bob:alice", "bob") is None
    assert partner_in("dm:alice:bob:carol", "alice") is None
    assert partner_in("dm:alice", "alice") is None
    assert partner_in("general", "general") is None
    assert partner_in("dm:%41lice:bob", "bob") is None
