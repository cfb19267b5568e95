"""examples/send_attachment.mjs, run as described in it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from tests.support.js_client import JsClient
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer


async def test_a_file_arrives_with_its_message(
    server: Callable[..., Awaitable[RtServer]], js: Callable[..., Awaitable[JsClient]], tmp_path: Path
) -> None:
    running = await server(UPLOAD_LIMIT="1000")
    bob = await js(running.url, "/chat", token=running.token("bob"), transports=["websocket"])
    await bob.call("join", {"room": "general"})

    async def send(content: bytes) -> tuple[int | None, str]:
        (tmp_path / "cat.png").write_bytes(content)
        run = await asyncio.create_subprocess_exec(
            "node", ROOT / "examples" / "send_attachment.mjs", "general", tmp_path / "cat.png", "image/png",
            env=os.environ | {"RTSERVER_URL": running.url, "TOKEN": running.token("alice")},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(run.communicate(), 60)
        return run.returncode, output.decode()

    code, output = await send(b"meow")
    assert code == 0, output
    [message] = await bob.next("message")
    attachment = message["data"]["attachment"]
    assert (attachment["name"], attachment["type"], attachment["size"]) == ("cat.png", "image/png", 4)
    async with aiohttp.ClientSession() as http, http.get(running.url + attachment["url"]) as answer:
        assert await answer.read() == b"meow"
    code, output = await send(b"x" * 1001)
    assert code
    assert "too_large" in output
    assert not any(path.suffix == ".part" for path in running.folder.rglob("*"))
