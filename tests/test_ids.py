"""Socket ids, and what looks like one."""

import pytest

from rtserver.ids import looks_like_sid, new_instance_id, new_sid


def test_ids_are_new_and_look_like_ids():
    ids = {new_sid() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(looks_like_sid(id) and len(id) == 20 for id in ids)


@pytest.mark.parametrize(
    "name", ["", "room", "A" * 19, "A" * 21, "A" * 19 + "!", "A" * 19 + "\n", "a-room-of-many-words"]
)
def test_other_names_do_not(name):
    assert not looks_like_sid(name)


@pytest.mark.parametrize("prefix", ["/chat#", "/chat#abc123-", "/#", "/a/b#x-"])
def test_ids_of_version_2_clients_look_like_ids(prefix):
    assert looks_like_sid(prefix + new_sid())
    assert not looks_like_sid(prefix + "a-room-of-many-words")
    assert not looks_like_sid(prefix + "news")


def test_an_instance_id_is_safe_in_a_route():
    assert new_instance_id().isalnum()
