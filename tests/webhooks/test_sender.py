"""Webhook sender: which responses of a slow, broken or hostile receiver count as success."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from rtserver.webhooks.sender import Sender
from tests.webhooks.conftest import Receiver

SECRET_PATH = "/hook?token=do-not-show"


@pytest.fixture
async def sender(receiver: Receiver) -> AsyncIterator[Sender]:
    started = Sender(receiver.url, [b"k" * 32], timeout=0.5)
    await started.start()
    yield started
    await started.stop()


async def outcome_of_raw(answer: bytes, *, reset: bool = False) -> str | None:
    """Return what the sender reports for a receiver that sends these bytes and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = Sender(f"http://127.0.0.1:{port}{SECRET_PATH}", [], timeout=2)
    await sender.start()
    outcome = await sender.send("id", b"{}")
    await sender.stop()
    server.close()
    return outcome


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_success(sender: Sender, receiver: Receiver, status: int) -> None:
    receiver.says(status)
    assert await sender.send("id", b"{}") is None
    [received] = receiver.received
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 410, 429, 500, 503])
async def test_every_other_status_is_a_failure(sender: Sender, receiver: Receiver, status: int) -> None:
    receiver.says(status)
    assert str(status) in str(await sender.send("id", b"{}"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(sender: Sender, receiver: Receiver, status: int) -> None:
    receiver.says(status, Location=receiver.url + "/elsewhere")
    assert str(status) in str(await sender.send("id", b"{}"))
    assert len(receiver.received) == 1


async def test_a_slow_receiver_times_out(sender: Sender, receiver: Receiver) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    receiver.answer = never
    assert "0.5 seconds" in str(await sender.send("id", b"{}"))


async def test_an_endless_response_is_not_read(sender: Sender, receiver: Receiver) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    receiver.answer = endless
    assert await sender.send("id", b"{}") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"garbage\r\n\r\n", b"\0" * 100, b"HTTP/1.1 999999 OK\r\n\r\n", b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)  # fmt: skip
async def test_garbage_is_a_failure(answer: bytes) -> None:
    outcome = await outcome_of_raw(answer)
    assert outcome
    assert "do-not-show" not in outcome


async def test_a_2xx_with_an_incomplete_body_is_success() -> None:
    assert await outcome_of_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort") is None


async def test_an_unreachable_receiver_is_a_failure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sender = Sender(f"http://127.0.0.1:{port}{SECRET_PATH}", [])
    await sender.start()
    assert await sender.send("id", b"{}") == "The receiver cannot be reached"
    await sender.stop()
