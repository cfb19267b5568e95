"""Eager coroutines: which functions never wait, judged by their byte code."""

from __future__ import annotations

import asyncio
import contextlib
import inspect

import pytest

from rtserver.sio.dispatch import eager_coroutines
from rtserver.sio.dispatch.eager_coroutines import is_eager, run_eager
from rtserver.sio.namespace.namespace import Namespace, event


async def pause():
    await asyncio.sleep(0)


async def numbers():
    for number in range(3):
        await pause()
        yield number


@contextlib.asynccontextmanager
async def opened():
    await pause()
    yield


async def no_await(self=None):
    return 5


async def await_(self=None):
    await pause()


async def await_behind_a_condition(self=None, condition=False):
    if condition:
        await pause()


async def async_for(self=None):
    async for _ in numbers():
        pass


async def async_with(self=None):
    async with opened():
        pass


async def await_in_a_nested_function(self=None):
    async def nested():
        await pause()

    nested().close()
    return 5


async def comprehension(self=None):
    return sum([number + 1 for number in range(2)], 2)


async def generator_expression(self=None):
    return sum(number + 1 for number in (1, 2))


async def async_comprehension(self=None):
    return [number async for number in numbers()]


async def await_in_a_comprehension(self=None):
    return [await pause() for _ in range(2)]


async def plain_with(self=None):
    with contextlib.suppress(ValueError):
        int("x")
    return 5


async def raises(self=None):
    raise ValueError


def suspends(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        return False
    coroutine.close()
    return True


@pytest.mark.parametrize(
    "function",
    [
        no_await, await_in_a_nested_function, comprehension, generator_expression, plain_with,
    ],
)  # fmt: skip
async def test_a_function_that_never_waits_is_eager(function):
    assert not suspends(function())
    assert is_eager(function)
    assert run_eager(function()) == 5


@pytest.mark.parametrize("function", [await_, async_for, async_with, async_comprehension, await_in_a_comprehension])
async def test_a_function_that_waits_is_not_eager(function):
    assert suspends(function())
    assert not is_eager(function)


def test_a_function_that_may_wait_is_not_eager():
    assert not is_eager(await_behind_a_condition)


@pytest.mark.parametrize("function", [numbers, suspends, opened, len, print, object])
def test_only_coroutine_functions_are_eager(function):
    assert not is_eager(function)


def test_a_method_is_judged_as_its_function():
    class Holder:
        no_await = no_await
        await_ = await_

    assert is_eager(Holder().no_await)
    assert not is_eager(Holder().await_)


def test_a_plain_function_marked_as_a_coroutine_function_is_not_eager():
    """Its own byte code never waits, but the coroutine that it returns may."""
    mark = getattr(inspect, "markcoroutinefunction", lambda function: function)  # since Python 3.12
    assert not is_eager(mark(lambda: pause()))


def test_an_exception_of_an_eager_coroutine_passes_through():
    assert is_eager(raises)
    with pytest.raises(ValueError, match=r"^$"):
        run_eager(raises())


async def test_a_coroutine_that_suspends_unexpectedly_is_closed_with_an_error():
    coroutine = pause()
    with pytest.raises(RuntimeError, match="suspended"):
        run_eager(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_on_an_unknown_python_handlers_run_as_ordinary_coroutines(serve, raw, monkeypatch):
    monkeypatch.setattr(eager_coroutines, "SUSPENDING_OPCODES", {})
    assert not is_eager(no_await)

    class Events(Namespace, path="/"):
        auth = "none"

        @event("double")
        async def double(self, client, number: int):
            return 2 * number

    served = await serve(Events())
    client = await raw(served.url)
    await client.connect()
    assert await client.call("/", "double", 4) == [8]
