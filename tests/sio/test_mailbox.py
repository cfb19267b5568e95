"""The queue of one client and the bound of one connection."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.sio.mailbox import HIGH_EVENTS, HIGH_SIZE, Backlog, Mailbox
from rtserver.sio.tasks import Tasks


async def test_a_job_that_fails_is_logged_and_the_next_runs(caplog):
    tasks, done = Tasks(), []

    async def job(what):
        await asyncio.sleep(0)
        if what == "bad":
            raise RuntimeError
        done.append(what)

    mailbox = Mailbox(tasks)
    for what in ("one", "bad", "two"):
        mailbox.put(lambda what=what: job(what))
    await tasks.finish(5)
    mailbox.put(lambda: job("three"))
    await tasks.finish(5)
    assert done == ["one", "two", "three"]


async def test_a_full_backlog_makes_wait_until_there_is_room():
    backlog = Backlog()
    for _ in range(HIGH_EVENTS):
        backlog.add(1)
    waiting = asyncio.ensure_future(backlog.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.done(1)
    await waiting
    await backlog.room()


@pytest.mark.parametrize("sizes", [[HIGH_SIZE], [HIGH_SIZE // 2, HIGH_SIZE // 2 + 1]])
async def test_what_is_big_counts_as_much(sizes):
    backlog = Backlog()
    for size in sizes:
        assert not backlog.full
        backlog.add(size)
    assert backlog.full


async def test_nobody_waits_for_a_connection_that_is_gone():
    backlog = Backlog()
    backlog.add(HIGH_SIZE)
    waiting = [asyncio.ensure_future(backlog.room()) for _ in range(2)]
    await asyncio.sleep(0)
    backlog.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    await backlog.room()
