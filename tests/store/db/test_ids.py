"""Record ids."""

import re

from rtserver.store.db.ids import Ids


def test_ids_are_unique_and_sort_by_creation() -> None:
    ids = Ids()
    made = [ids() for _ in range(5_000)]
    assert made == sorted(set(made))


def test_ids_of_two_servers_do_not_collide() -> None:
    one, other = Ids(), Ids()
    assert len({maker() for _ in range(1_000) for maker in (one, other)}) == 2_000


def test_an_id_is_26_plain_characters() -> None:
    assert re.fullmatch(r"[0-9a-v]{26}", Ids()())
