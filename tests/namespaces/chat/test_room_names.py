"""Room names that clients may use."""

import pytest

from rtserver.errors import InvalidPayload
from rtserver.ids import new_sid
from rtserver.namespaces.chat.conversation import check_room_name


@pytest.mark.parametrize(
    "name",
    [
        "g",
        "general",
        "team-7_a.b:c@d/e#f",
        "Köln",
        "東京",
        "комната",
        "engineering-announce",
        "x" * 200,
        "users:7",
        "dms",
        "0",
    ],
)
def test_an_ordinary_room_name_is_accepted(name: str) -> None:
    assert check_room_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * 201, "a b", " a", "a\n", "a\0b", "a*b", "a?b", "[x]", "a\\b", "<b>", "🙂", "a\u200bb", "a,b", "a%b"],
)
def test_a_name_with_other_characters_or_wrong_length_is_rejected(name: str) -> None:
    with pytest.raises(InvalidPayload):
        check_room_name(name)


@pytest.mark.parametrize("name", ["user:bob", "user:", "dm:a:b", "dm:", "dm:nothing"])
def test_the_rooms_of_users_and_direct_conversations_are_reserved(name: str) -> None:
    with pytest.raises(InvalidPayload, match="reserved"):
        check_room_name(name)


def test_the_room_of_a_socket_is_reserved() -> None:
    """A client that could join it would receive events meant for that socket alone."""
    for _ in range(200):
        with pytest.raises(InvalidPayload, match="reserved"):
            check_room_name(new_sid())
