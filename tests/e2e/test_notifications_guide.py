"""docs/notifications.md: its bell works in a browser, its receivers accept only signed webhooks."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect

from rtserver.auth.keys import webhook_key
from rtserver.webhooks.sender import Sender
from rtserver.webhooks.signing import headers
from tests.support.ports import free_port
from tests.support.process import Process, Processes
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

GUIDE = (ROOT / "docs" / "notifications.md").read_text()
SECRET = "whsec_" + "QUFB" * 11


def block(language: str, mark: str = "") -> str:
    """Return a code block of the guide, found by the comment before it."""
    found = re.search(rf"{re.escape(mark)}\n?```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found, (language, mark)
    return found[1]


async def test_the_bell_of_the_guide_works_on_two_devices(
    server: Callable[..., Awaitable[RtServer]], browser: Browser
) -> None:
    app = web.Application()
    pages = TestServer(app)
    rings: dict[str, str] = {}

    async def bell(_: web.Request) -> web.Response:
        return web.Response(text=rings["page"], content_type="text/html")

    app.router.add_get("/bell.html", bell)
    async with pages:
        origin = str(pages.make_url("")).rstrip("/")
        running = await server(MODE="development")
        rings["page"] = block("html").replace("http://localhost:8000", running.url)
        errors: list[str] = []

        async def open_bell() -> Page:
            page = await (await browser.new_context()).new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.goto(f"{origin}/bell.html?token={running.token('alice')}")
            return page

        async def notify(**body: object) -> str:
            auth = {"Authorization": f"Bearer {running.api_key}"}
            async with aiohttp.ClientSession(headers=auth) as http:
                url = f"{running.url}/api/notifications"
                async with http.post(url, json={"user": "alice", "type": "t", **body}) as response:
                    assert response.status == 200
                    answer = await response.json()
            return str(answer["notifications"][0]["id"])

        for number in range(35):
            await notify(message=f"before {number}")
        phone, laptop = await open_bell(), await open_bell()
        for page in (phone, laptop):
            await expect(page.locator("#badge")).to_have_text("35")
            await expect(page.locator("li")).to_have_count(30)
        await phone.click("#bell")
        await phone.click("#older")
        await expect(phone.locator("li")).to_have_count(35)
        await expect(laptop.locator("#badge")).to_have_text("")
        for number in range(1, 4):
            id_ = await notify(message=f"{number} replies", groupKey="post")
        for page in (phone, laptop):
            await expect(page.locator("li").first).to_have_text("3 replies (3)")
            await expect(page.locator("#badge")).to_have_text("1")
            await expect(page.locator("li.unread")).to_have_count(36 if page is phone else 31)
        await phone.locator("li").first.click()
        await expect(laptop.locator("li").first).not_to_have_class("unread")
        await laptop.click("#bell")
        await laptop.click("#all")
        await expect(phone.locator("li.unread")).to_have_count(0)
        auth = {"Authorization": f"Bearer {running.api_key}"}
        async with aiohttp.ClientSession(headers=auth) as http:
            async with http.get(f"{running.url}/api/notifications/{id_}") as response:
                assert len((await response.json())["deliveries"]) == 2
            async with http.delete(f"{running.url}/api/notifications/{id_}") as response:
                assert response.status == 200
        for page in (phone, laptop):
            await expect(page.locator("li").first).to_have_text("before 34")
            await expect(page.get_by_role("status")).to_be_empty()
        await phone.goto(f"{origin}/bell.html?token=rubbish")
        await expect(phone.get_by_role("status")).to_have_text("token_invalid")
        assert errors == []


async def test_the_commands_of_the_guide_work(server: Callable[..., Awaitable[RtServer]]) -> None:
    running = await server()
    commands = [command for command in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if "curl" in command]
    assert len(commands) == 3
    id_, answers = "", []
    for command in sorted(commands, key=lambda command: "/ID" in command):
        command = command.replace("http://localhost:8000", running.url).replace("my-secret-api-key", running.api_key)
        env = os.environ | {"RTSERVER_API_KEY": running.api_key}
        shell = await asyncio.create_subprocess_exec(
            "bash", "-eu", "-c", command.replace("/ID", f"/{id_}"), env=env, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await shell.communicate()
        answers += re.findall(r'\{"ok":.*?\}(?=\{"ok"|$)', said.decode())
        first = json.loads(answers[0])
        id_ = first["notifications"][0]["id"]
    told = [json.loads(answer) for answer in answers]
    assert [answer["ok"] for answer in told] == [True] * 4
    assert told[1]["notifications"][0]["groupKey"] == "post-42"
    assert set(told[2]) == {"ok", "user", "notification", "deliveries"}


@pytest.mark.parametrize(
    ("file", "language", "command"),
    [("receiver.py", "python", [sys.executable]), ("receiver.mjs", "js", ["node"])],
)
async def test_the_receivers_of_the_guide_accept_each_signed_webhook_once(
    processes: Processes, file: str, language: str, command: list[str]
) -> None:
    folder, port = processes.new_folder("receiver"), free_port()
    (folder / file).write_text(block(language, f"<!-- {file} -->"))
    log = folder / "receiver.log"
    env = {"WEBHOOK_SECRET": f"{SECRET[:-4]},{SECRET}", "PORT": str(port), "PATH": os.environ["PATH"]}
    process = Process(file, [*command, file], log=log, env=env, cwd=folder)
    processes.add(process)
    process.spawn()
    key = webhook_key(SECRET)
    body = json.dumps({"data": {"user": "alice", "notification": {"message": "Grüße"}}}).encode()
    sender = Sender(f"http://127.0.0.1:{port}/", [key])
    await sender.start()
    while await sender.send("msg_1", body) == "The receiver cannot be reached":
        process.check_alive()
        await asyncio.sleep(0.02)
    assert await sender.send("msg_1", body) is None
    await sender.stop()
    now = int(time.time())
    good = headers([key], "msg_2", now, body)
    forged = [
        good | {"webhook-id": "msg_3"}, good | {"webhook-timestamp": str(now + 1)}, {},
        headers([b"x" * 32], "msg_2", now, body), headers([key], "msg_2", now, body + b" "),
        headers([key], "msg_2", now - 301, body),
        good | {"webhook-signature": "v1,"}, good | {"webhook-signature": "é"}, good | {"webhook-timestamp": "-1"},
    ]  # fmt: skip
    async with aiohttp.ClientSession() as http:
        for told in forged:
            async with http.post(f"http://127.0.0.1:{port}/", data=body, headers=told) as response:
                assert response.status == 401, told
    assert log.read_text().count("mail to alice Grüße") == 1
