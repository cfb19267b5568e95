"""docs/backends.md: requests of backends reach the official client, and the code of the page works."""

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import redis.asyncio

from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "backends.md").read_text()
HTTP_PART = PAGE.split("\n## The HTTP API\n")[1].split("\n## ")[0]
INBOX_PART = PAGE.split("\n## The durable inbox\n")[1].split("\n## ")[0]
SHELLS = {"sh": ["bash", "-eu"], "python": [sys.executable, "-"], "js": ["node", "--input-type=module"]}


async def post(server: RtServer, path: str, body: Any, key: str | None = None) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key or server.api_key}"}) as http:
        answer = await http.post(server.url + path, json=body)
        return answer.status, await answer.json()


@pytest.fixture
async def running(server: Callable[..., Awaitable[RtServer]]) -> RtServer:
    return await server()


async def test_an_emitted_event_reaches_only_its_room_and_user(running: RtServer, js: Any) -> None:
    alice, bob, carol = [
        await js(running.url, "/chat", token=running.token(name), transports=["websocket"])
        for name in ("alice", "bob", "carol")
    ]
    await alice.call("join", {"room": "general"})
    whom = {"namespace": "/chat", "rooms": ["general"], "users": ["bob"]}
    body = {**whom, "event": "maintenance", "args": [5, {"a": []}]}
    assert await post(running, "/api/emit", body) == (200, {"ok": True})
    assert await alice.next("maintenance") == [5, {"a": []}]
    assert await bob.next("maintenance") == [5, {"a": []}]
    # Carol's ack arrives after everything that was sent to her before.
    await carol.call("rooms", {})
    assert carol.received("maintenance") == []


async def test_an_event_without_rooms_reaches_all_clients_but_excluded_ones(running: RtServer, js: Any) -> None:
    alice, bob = [await js(running.url, "/chat", token=running.token(name)) for name in ("alice", "bob")]
    body = {"namespace": "/chat", "event": "news", "data": "hello", "except": ["user:bob"]}
    assert await post(running, "/api/emit", body, running.token("shop", roles=("service",))) == (200, {"ok": True})
    assert await alice.next("news") == ["hello"]
    await bob.call("rooms", {})
    assert bob.received("news") == []


async def test_an_unknown_namespace_is_not_found(running: RtServer) -> None:
    status, body = await post(running, "/api/emit", {"namespace": "/nope", "event": "news"})
    assert (status, body["error"]["code"]) == (404, "not_found")


async def test_a_users_token_gives_no_access_to_the_api(running: RtServer) -> None:
    for token in (running.token("alice"), running.token("root", roles=("admin",))):
        status, body = await post(running, "/api/emit", {"namespace": "/chat", "event": "news"}, token)
        assert (status, body["error"]["code"]) == (403, "forbidden")


async def test_without_a_key_there_is_no_api(server: Callable[..., Awaitable[RtServer]]) -> None:
    running = await server(API_KEY=None)
    for path in ("/api/emit", "/api/notifications"):
        for credential in ("a-guess", running.token("alice")):
            status, body = await post(running, path, {}, credential)
            assert (status, body["error"]["code"]) == (404, "not_found")
            assert "set RTSERVER_API_KEY" in body["error"]["message"]
            assert "role service" in body["error"]["message"]
    notice = {"user": "alice", "type": "order", "message": "Shipped"}
    assert (await post(running, "/api/notifications", notice, running.token("shop", roles=("service",))))[0] == 200


async def test_the_example_notifies_once_however_often_it_runs(running: RtServer, js: Any) -> None:
    devices = [await js(running.url, "/notifications", token=running.token("alice")) for _ in range(2)]
    arguments = ["alice", "Your order has shipped", "--key", "order-1042"]
    command = [sys.executable, EXAMPLES / "push_notification.py", *arguments]
    env = os.environ | {"RTSERVER_URL": running.url, "RTSERVER_API_KEY": running.api_key}
    said = []
    for _ in range(2):
        run = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
        said.append((await run.communicate())[0].decode())
        assert run.returncode == 0
    assert said[0].startswith("saved ")
    assert said[1].startswith("was saved before ")
    for device in devices:
        assert (await device.next("notification"))[0]["message"] == "Your order has shipped"
        assert len((await device.call("list", {"limit": 10}))["notifications"]) == 1
        assert len(device.received("notification")) == 1


def blocks(language: str, part: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


def page_as_script(language: str, server: RtServer) -> bytes:
    """Return all code of the page in a language, in order."""
    found = blocks(language, HTTP_PART)
    assert len(found) >= 6
    return "\n".join(found).replace("http://localhost:8000", server.url).encode()


async def run_page(language: str, server: RtServer) -> str:
    run = await asyncio.create_subprocess_exec(
        *SHELLS[language], env=os.environ | {"RTSERVER_API_KEY": server.api_key},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await run.communicate(page_as_script(language, server))
    assert run.returncode == 0, said.decode()
    return said.decode()


async def test_the_code_of_the_page_works_in_every_language(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer, js: Any
) -> None:
    """All languages take effect once, by the idempotency keys. Then all of the inbox: nothing becomes a dead letter."""
    running = await server(REDIS_URL=redis_server.url)
    alice = await js(running.url, "/chat", token=running.token("alice"), transports=["websocket"])
    bob = await js(running.url, "/chat", token=running.token("bob"), transports=["websocket"])
    inbox = await js(running.url, "/notifications", token=running.token("alice"), transports=["websocket"])
    await alice.call("join", {"room": "general"})
    await alice.answer("version?", "1.0")
    for language in SHELLS:
        said = await run_page(language, running)
        assert "Traceback" not in said
        assert await alice.next("maintenance") == [{"minutes": 5}]
        if language != "sh":
            assert "1.0" in said
    texts = [args[0]["text"] for args in alice.received("message")]
    assert texts == ["Version 42 is out, @alice", "One", "Two"]
    assert (await bob.next("message"))[0]["text"] == "Only for you"
    assert len(bob.received("message")) == 1
    listed = (await inbox.call("list", {}))["notifications"]
    assert sorted(one["type"] for one in listed) == ["mention", "order"]

    for language, command in SHELLS.items():
        await run_inbox(command, language, redis_server.url)
    async with redis.asyncio.from_url(redis_server.url) as client:
        await eventually(lambda: is_empty(client))
        assert await client.xrange("rtserver:inbox:dead") == []
    listed = (await inbox.call("list", {}))["notifications"]
    assert sorted(one["type"] for one in listed) == ["mention", *["order"] * 4]
    assert [args[0]["text"] for args in alice.received("message")][3:] == ["Version 43 is out"]


async def run_inbox(command: list[str], language: str, url: str) -> None:
    """Run all code of the section about the inbox."""
    code = "\n".join(blocks(language, INBOX_PART)).replace("redis://127.0.0.1:6379/0", url)
    run = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, cwd=ROOT)
    await run.communicate(code.encode())
    assert run.returncode == 0


async def is_empty(client: Any) -> bool:
    return await client.xlen("rtserver:inbox") == 0


def test_no_example_of_another_source_uses_the_key_of_an_earlier_one() -> None:
    """They have other bodies: the second one would be a conflict, and a dead letter."""
    sources = PAGE.split("\n## The durable inbox\n")[1]
    keys = re.findall(r"""["'\s](order-[0-9]+|v[0-9]+)["'\s]""", sources)
    assert len(keys) == 9
    assert {key for key in keys if keys.count(key) > 1} == {"v43"}  # one body, in two languages
    assert not [key for key in keys if key in HTTP_PART]


async def test_the_redis_example_reaches_the_user(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer, js: Any
) -> None:
    running = await server(REDIS_URL=redis_server.url)
    alice = await js(running.url, "/chat", token=running.token("alice"))
    env = os.environ | {"REDIS_URL": redis_server.url}
    run = await asyncio.create_subprocess_exec(sys.executable, EXAMPLES / "emit_over_redis.py", env=env)
    assert await run.wait() == 0
    assert await alice.next("maintenance") == [{"minutes": 5, "personally": True}]
