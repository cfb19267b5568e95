"""When a run of catching up begins, and what the log has of runs that fail."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from rtserver.errors import Unavailable
from rtserver.namespaces.delivery import reconciler
from rtserver.namespaces.delivery.reconciler import Reconciler
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "SPREAD", 0)
    monkeypatch.setattr(reconciler, "RETRY", 0)


async def nobody() -> None:
    """There are no peers."""


async def test_runs_that_fail_are_repeated_from_the_same_moment_and_are_two_lines_in_the_log() -> None:
    runs: list[int] = []
    failures = 0

    async def catch_up(since: int) -> None:
        runs.append(since)
        if len(runs) <= failures:
            raise Unavailable("away")

    served = Reconciler(catch_up, nobody, "rooms")
    await served.start()
    try:
        for _ in range(2):
            runs.clear()
            failures = 5
            with capture_logs() as logs:
                served.fault_over()
                await eventually(lambda: len(logs) == 2)
            assert len(runs) == 6
            assert len(set(runs)) == 1
            assert [(line["event"], line["what"]) for line in logs] == [
                ("not_caught_up", "rooms"),
                ("caught_up", "rooms"),
            ]
        runs.clear()
        failures = 0
        with capture_logs() as logs:
            served.fault_over()
            await eventually(lambda: len(runs) == 1)
        assert logs == []
    finally:
        await served.stop()
