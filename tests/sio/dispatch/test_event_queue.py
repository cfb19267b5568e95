"""The event queue of one client and the backlog of one connection."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.sio.dispatch.event_queue import Backlog, EventQueue
from rtserver.sio.limits.limits import Limits
from rtserver.tasks import Tasks
from rtserver.telemetry.metrics import Metrics


async def test_a_job_that_fails_is_logged_and_the_next_runs(caplog):
    tasks, done = Tasks(), []

    async def job(what):
        await asyncio.sleep(0)
        if what == "bad":
            raise RuntimeError
        done.append(what)

    queue = EventQueue(tasks)
    for what in ("one", "bad", "two"):
        queue.put(lambda what=what: job(what))
    await tasks.finish(5)
    queue.put(lambda: job("three"))
    await tasks.finish(5)
    assert done == ["one", "two", "three"]


class Session:
    """A session as a backlog sees it."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Server:
    """A server as a backlog sees it."""

    def __init__(self) -> None:
        self.limits = Limits(max_backlog=10, max_backlog_bytes=1000)
        self.metrics = Metrics()


def test_a_full_backlog_pauses_reading_until_there_is_room():
    session, server = Session(), Server()
    backlog = Backlog(session, server)
    for _ in range(10):
        assert not session.paused
        backlog.add(1)
    assert session.paused
    backlog.add(1)
    backlog.remove(1)
    assert session.paused
    backlog.remove(1)
    assert not session.paused
    assert server.metrics.reads_paused == 1


@pytest.mark.parametrize("sizes", [[1000], [500, 501]])
def test_the_size_of_events_is_limited_too(sizes):
    session = Session()
    backlog = Backlog(session, Server())
    for size in sizes:
        assert not session.paused
        backlog.add(size)
    assert session.paused
