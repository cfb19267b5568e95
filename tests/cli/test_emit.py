"""`rtserver emit` from a shell, with a real server and the official client."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

RTSERVER = Path(sys.executable).with_name("rtserver")
Start = Callable[..., Awaitable[RtServer]]
GENERAL = ("--namespace", "/chat", "--to", "general")


async def emit(
    *arguments: str, folder: Path, url: str | None = None, stdin: bytes = b"", **settings: str
) -> tuple[int | None, str, str]:
    """Run the command; return exit code, standard output and standard error."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    env |= {f"RTSERVER_{name}": value for name, value in settings.items()} | {"COLUMNS": "100", "NO_COLOR": "1"}
    env |= {"RTSERVER_REDIS_URL": url} if url else {}
    pipe = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(
        RTSERVER, "emit", *arguments, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe
    )
    out, err = (part.decode() for part in await run.communicate(stdin))
    assert "Traceback" not in err
    return run.returncode, out, err


async def test_events_reach_the_given_rooms_and_users(
    server: Start, redis_server: RedisServer, js: Any, tmp_path: Path
) -> None:
    running = await server(REDIS_URL=redis_server.url, REDIS_KEY="ours")
    alice, bob = [await js(running.url, "/chat", token=running.token(name)) for name in ("alice", "bob")]
    await alice.call("join", {"room": "general"})
    known: Any = {"folder": tmp_path, "url": redis_server.url, "REDIS_KEY": "ours"}

    done = await emit(*GENERAL, "x", "5", '{"a": [null, true, "é"]}', '"text"', **known)
    assert done == (0, "Redis delivered it to 1 server.\n", "")
    assert await alice.next("x") == [5, {"a": [None, True, "é"]}, "text"]
    assert (await emit("-n", "chat", "-u", "bob", "-t", "nobody", "y", **known))[0] == 0
    assert await bob.next("y") == []
    assert (await emit("-n", "/chat", "-x", "user:bob", "--volatile", "z", "--", "-5", **known))[0] == 0
    assert await alice.next("z") == [-5]
    big = b'{"big": "' + b"x" * 200_000 + b'"}\n'
    assert (await emit(*GENERAL, "x", "1", "-", stdin=big, **known))[0] == 0
    assert (await alice.next("x")) == [1, {"big": "x" * 200_000}]
    for client in (alice, bob):
        await client.call("rooms", {})
    assert [len(bob.received(event)) for event in "xyz"] == [0, 1, 0]
    assert [len(alice.received(event)) for event in "xyz"] == [2, 0, 1]

    endless = await emit(*GENERAL, "x", "-", stdin=b" " * (17 << 20), **known)
    assert endless == (2, "", "Standard input is more than 16 MiB, and no server accepts as much.\n")

    code, out, err = await emit("-n", "/nope", "x", **known)
    assert (code, out) == (0, "")
    assert "no server that has the namespace /nope" in err


async def test_it_uses_the_wire_format_and_secret_of_the_servers(
    server: Start, redis_server: RedisServer, js: Any, tmp_path: Path
) -> None:
    spoken = {"REDIS_ADAPTER": "sharded", "CLUSTER_SECRET": "a-secret-of-the-tests-that-is-long-enough-0123456789"}
    running = await server(REDIS_URL=redis_server.url, **spoken)
    alice = await js(running.url, "/chat", token=running.token("alice"))
    await alice.call("join", {"room": "general"})
    known: Any = {"folder": tmp_path, "url": redis_server.url}
    assert (await emit(*GENERAL, "x", "1", **known, REDIS_ADAPTER="sharded"))[0] == 0  # not signed
    assert (await emit(*GENERAL, "x", "2", **known, **spoken))[1] == "Redis delivered it to 1 server.\n"
    assert await alice.next("x") == [2]
    assert (await emit("-n", "/chat", "-u", "alice", "x", "3", **known, **spoken))[0] == 0
    assert await alice.next("x") == [3]


async def test_wrong_usage_is_explained_and_ends_with_2(tmp_path: Path, redis_server: RedisServer) -> None:
    wrong = {
        (*GENERAL, "x", "hello"): "Argument 1 is not JSON: hello",
        (*GENERAL, "x", "1", "NaN"): "Argument 2 is not JSON",
        (*GENERAL, "x", "-"): "Standard input is not JSON",
        (*GENERAL, "x", "-", "-"): "read only once",
        (*GENERAL, "disconnect"): "reserved event name",
        ("x",): "--namespace /chat",
        GENERAL: "EVENT",
        (*GENERAL, "--tp", "x"): "--tp",
    }
    results = await asyncio.gather(*(emit(*use, folder=tmp_path, url=redis_server.url) for use in wrong))
    for (code, out, err), told in zip(results, wrong.values(), strict=True):
        assert (code, out) == (2, ""), err
        assert told in err


async def test_a_missing_redis_is_explained(tmp_path: Path) -> None:
    code, out, err = await emit(*GENERAL, "x", folder=tmp_path)
    assert (code, out) == (2, "")
    assert "RTSERVER_REDIS_URL" in err
    url = f"redis://:pass-w0rd@127.0.0.1:{free_port()}"
    code, out, err = await emit(*GENERAL, "x", "--redis-url", url, folder=tmp_path)
    assert (code, out) == (1, "")
    assert "Nothing was emitted. Redis is not available" in err
    assert "pass-w0rd" not in err
    code, out, err = await emit(*GENERAL, "x", folder=tmp_path, url="http://wrong")
    assert (code, out) == (1, "")
    assert "RTSERVER_REDIS_URL" in err
    assert os.listdir(tmp_path) == []


async def test_a_hanging_redis_times_out(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.pause()
    code, out, err = await emit(*GENERAL, "--timeout", "0.3", "x", folder=tmp_path, url=redis_server.url)
    redis_server.resume()
    assert (code, out) == (1, "")
    assert "does not answer" in err


async def test_help_shows_how_to_use_it(tmp_path: Path) -> None:
    code, out, _ = await emit("--help", folder=tmp_path)
    assert code == 0
    for word in ("EVENT", "JSON", "--namespace", "--to", "--user", "--except", "--volatile", "standard input"):
        assert word in out, word
