"""Ports of the servers that tests start."""

from tests.support.ports import free_port


def test_a_port_is_not_reused_before_many_others() -> None:
    given = [free_port() for _ in range(2000)]
    assert len(set(given)) == len(given)
