"""Background tasks are never lost, and end with their owner."""

import asyncio

from rtserver.tasks import Tasks, cancelled


async def test_cancelled_waits_until_every_task_has_ended() -> None:
    ended = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    tasks = [asyncio.create_task(work("a")), asyncio.create_task(work("b"))]
    await asyncio.sleep(0)
    await cancelled(tasks[0], None, tasks[1])
    assert sorted(ended) == ["a", "b"]


async def test_cancelled_ignores_a_task_that_has_ended() -> None:
    task = asyncio.create_task(asyncio.sleep(0, "done"))
    await task
    await cancelled(task, None)
    assert task.result() == "done"


async def test_cancelled_does_not_raise_the_exception_of_a_task() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("on the way out")

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancelled(task)
    assert isinstance(task.exception(), ValueError)


async def test_finish_waits_and_then_cancels() -> None:
    tasks = Tasks()
    quick, slow = asyncio.Event(), asyncio.Event()
    done = []

    async def wait(event: asyncio.Event, name: str) -> None:
        await event.wait()
        done.append(name)

    tasks.spawn(wait(quick, "quick"))
    tasks.spawn(wait(slow, "slow"))
    asyncio.get_running_loop().call_soon(quick.set)
    await tasks.finish(0.05)
    assert done == ["quick"]
