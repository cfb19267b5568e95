"""Hostile HTTP requests: the server answers or disconnects, keeps working, and logs no secret."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.rtserver_process import API_KEY, RtServer

AUTH = f"Authorization: Bearer {API_KEY}\r\n".encode()
JSON = b"Content-Type: application/json\r\n"
EMIT = b'{"namespace":"/chat","event":"news"}'


def request(
    method: bytes = b"POST",
    path: bytes = b"/api/emit",
    headers: bytes = JSON,
    body: bytes = EMIT,
    auth: bytes = AUTH,
    length: bool = True,
) -> bytes:
    told = b"Content-Length: %d\r\n" % len(body) if length else b""
    head = b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (method, path)
    return head + auth + headers + told + b"\r\n" + body


def get(path: bytes) -> bytes:
    return request(b"GET", path, body=b"", headers=b"")


CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"
CASES: dict[str, tuple[bytes, int]] = {
    "as it should be": (request(), 200),
    "in chunks": (request(headers=CHUNKED, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(EMIT), EMIT), length=False), 200),
    "two keys, the first good": (request(headers=b"Authorization: Bearer other\r\n" + JSON), 401),
    "two keys, the second good": (request(auth=b"Authorization: Bearer other\r\n" + AUTH), 401),
    "no text for a token": (request(auth=b"Authorization: Bearer \xff.\xfe.\xfd\r\n"), 401),
    "no text for a key": (request(auth=b"Authorization: Bearer \xff\xfe\r\n"), 401),
    "a long token": (request(auth=b"Authorization: Bearer " + b"a" * 7000 + b".b.c\r\n"), 401),
    "a key that is too long": (request(auth=AUTH.rstrip() + b"a" * 100_000 + b"\r\n"), 431),
    "too many headers": (request(headers=JSON + b"X: y\r\n" * 5000), 431),
    "a length and chunks": (request(headers=CHUNKED, body=b"0\r\n\r\n"), 400),
    "chunks without a size": (request(headers=CHUNKED, body=b"zz\r\n\r\n0\r\n\r\n", length=False), 400),
    "a negative length": (request(headers=JSON + b"Content-Length: -5\r\n", length=False), 400),
    "two lengths": (request(headers=JSON + b"Content-Length: 5\r\n"), 400),
    "a length beyond all bounds": (request(headers=JSON + b"Content-Length: 99999999999\r\n", length=False), 413),
    "the same from a stranger": (
        request(headers=JSON + b"Content-Length: 99999999999\r\n", length=False, auth=b""), 401,
    ),
    "an encoding that is none": (request(headers=JSON + b"Content-Encoding: rot13\r\n"), 415),
    "two types": (request(headers=b"Content-Type: text/plain\r\n" + JSON), 400),
    "a return in a header": (request(headers=JSON + b"X: a\rb\r\n"), 400),
    "a method that is none": (request(b"BREW"), 400),
    "two slashes": (request(path=b"//api/emit"), 404),
    "a way around": (request(path=b"/api/x/../emit"), 404),
    "no text in a path": (get(b"/api/rooms/%ff/messages"), 200),
    "half a character in a path": (get(b"/api/rooms/%ed%a0%80/messages"), 200),
    "a bad escape in a path": (get(b"/api/rooms/%zz/messages"), 200),
    "a NUL in a path": (get(b"/api/rooms/a%00b/messages"), 400),
    "a NUL in a query": (get(b"/api/presence?user=%00"), 400),
    "half a character in a query": (get(b"/api/presence?user=%ed%a0%80"), 200),
    "an address that is too long": (get(b"/api/presence?user=" + b"a" * 20_000), 431),
    "a user that is too long": (get(b"/api/presence?user=" + b"a" * 10_000), 400),
    "many headers": (request(headers=JSON + b"X: y\r\n" * 2000), 200),
}  # fmt: skip


async def status_of(server: RtServer, data: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        line = await asyncio.wait_for(reader.readline(), 15)
    finally:
        writer.close()
    return int(line.split()[1])


async def test_hostile_requests_are_survived_and_no_secret_is_logged(
    server: Callable[..., Awaitable[RtServer]],
) -> None:
    running = await server(LOG_LEVEL="debug")
    token = running.token("alice")
    stranger = request(auth=b"Authorization: Bearer " + token.encode() + b"\r\n")
    cases = CASES | {"a user's token": (stranger, 403)}
    answered = {name: await status_of(running, data) for name, (data, _) in cases.items()}
    assert answered == {name: status for name, (_, status) in cases.items()}
    logs = running.logs()
    assert "Traceback" not in logs
    assert API_KEY not in logs
    assert token not in logs
    assert token.split(".")[2] not in logs


async def test_many_slow_clients_delay_no_other(server: Callable[..., Awaitable[RtServer]]) -> None:
    """Each sends half a body: their memory is bounded, and others are answered meanwhile."""
    running = await server()
    begun = request(headers=JSON + b"Content-Length: 1000\r\n", length=False)
    slow = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(200)]
    for _, writer in slow:
        writer.write(begun)
    assert await status_of(running, request()) == 200
    for _, writer in slow:
        writer.close()
    assert await status_of(running, request()) == 200
    assert "Traceback" not in running.logs()


async def test_a_backend_with_too_many_requests_is_rate_limited(server: Callable[..., Awaitable[RtServer]]) -> None:
    running = await server(RATE_API="2/m")
    assert [await status_of(running, request()) for _ in range(6)] == [200] * 4 + [429] * 2
    assert await status_of(running, request(auth=b"")) == 401
    assert await status_of(running, get(b"/api/openapi.json")) == 200
