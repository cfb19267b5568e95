"""Socket ids, and names that have their shape."""

import pytest

from rtserver.ids import looks_like_sid, new_instance_id, new_sid


def test_new_socket_ids_are_unique_and_recognized():
    ids = {new_sid() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(looks_like_sid(id) and len(id) == 20 for id in ids)


@pytest.mark.parametrize(
    "name", ["", "room", "A" * 19, "A" * 21, "A" * 19 + "!", "A" * 19 + "\n", "a-room-of-many-words"]
)
def test_other_names_are_not_taken_for_socket_ids(name):
    assert not looks_like_sid(name)


@pytest.mark.parametrize("prefix", ["/chat#", "/chat#abc123-", "/#", "/a/b#x-"])
def test_socket_ids_of_version_2_clients_are_recognized(prefix):
    assert looks_like_sid(prefix + new_sid())
    assert not looks_like_sid(prefix + "a-room-of-many-words")
    assert not looks_like_sid(prefix + "news")


def test_an_instance_id_has_letters_and_digits_only():
    assert new_instance_id().isalnum()
