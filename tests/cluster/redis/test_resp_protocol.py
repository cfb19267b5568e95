"""RESP protocol: replies are read in order and in portions; garbage ends the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Connection
from redis.exceptions import InvalidResponse, ReadOnlyError, ResponseError

from rtserver.cluster.redis.resp_protocol import REPLIES_PER_ITERATION, RespProtocol, pack

Talk = Callable[[Callable[[Any], None]], Awaitable[tuple[RespProtocol, asyncio.StreamWriter]]]


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """`protocol, far = await talk(on_reply)`: an open connection, and its other end."""
    ends: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: ends.put_nowait(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connections: list[Connection] = []

    async def make(take: Callable[[Any], None]) -> tuple[RespProtocol, asyncio.StreamWriter]:
        connection = Connection(host="127.0.0.1", port=port, protocol=2, driver_info=None)
        connections.append(connection)
        await connection._connect()
        return RespProtocol(connection, take), await ends.get()

    yield make
    for connection in connections:
        await connection.disconnect(nowait=True)
    server.close()


async def test_replies_are_complete_and_in_order_however_they_are_split(talk: Talk) -> None:
    answers: list[Any] = []
    done = asyncio.Event()
    pipe, far = await talk(lambda answer: (answers.append(answer), answer == b"end" and done.set()))
    raw = b"+OK\r\n:7\r\n$5\r\na\r\nbc\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\xff\x00\r\n-ERR no\r\n$3\r\nend\r\n"
    for at in range(len(raw)):
        far.write(raw[at : at + 1])
        await far.drain()
        await asyncio.sleep(0)
    await done.wait()
    assert answers[:4] == [b"OK", 7, b"a\r\nbc", [b"message", b"c", b"\xff\x00"]]
    assert isinstance(answers[4], ResponseError)
    assert not pipe.lost.done()


async def test_a_flood_of_replies_leaves_time_for_the_rest_of_the_event_loop(talk: Talk) -> None:
    taken, between = 0, []
    done = asyncio.Event()

    def take(answer: Any) -> None:
        nonlocal taken
        taken += 1
        if taken == 10 * REPLIES_PER_ITERATION:
            done.set()
        elif taken == 1:
            asyncio.get_running_loop().call_soon(look)

    def look() -> None:
        between.append(taken)
        if not done.is_set():
            asyncio.get_running_loop().call_soon(look)

    _, far = await talk(take)
    far.write(b":1\r\n" * (10 * REPLIES_PER_ITERATION))
    await done.wait()
    assert len(between) >= 9
    assert all(later - earlier <= REPLIES_PER_ITERATION for earlier, later in pairwise(between))


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"$-7\r\n", b"*99999999999999999999\r\n", b"\x00\x01\x02"])
async def test_garbage_ends_the_connection(talk: Talk, raw: bytes) -> None:
    answers: list[Any] = []
    pipe, far = await talk(answers.append)
    far.write(raw)
    with pytest.raises((InvalidResponse, ConnectionError)):
        await pipe.lost
    assert not answers


async def test_an_exception_of_the_receiver_ends_the_connection(talk: Talk) -> None:
    def take(answer: Any) -> None:
        raise answer

    pipe, far = await talk(take)
    far.write(b"-READONLY You can't write against a read only replica.\r\n:1\r\n")
    with pytest.raises(ReadOnlyError):
        await pipe.lost


async def test_a_connection_closed_by_redis_is_reported(talk: Talk) -> None:
    pipe, far = await talk(lambda answer: None)
    far.close()
    with pytest.raises(ConnectionError):
        await pipe.lost


def test_commands_are_packed() -> None:
    assert pack(("PUBLISH", "caf\u00e9", b"\xff", 7, 1.5)) == (
        b"*5\r\n$7\r\nPUBLISH\r\n$5\r\ncaf\xc3\xa9\r\n$1\r\n\xff\r\n$1\r\n7\r\n$3\r\n1.5\r\n"
    )
