"""The tracking example and the page that explains it, run as described."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process
from tests.support.repository import ROOT

EXAMPLE = ROOT / "examples" / "tracking"
PAGE = (ROOT / "docs" / "own-namespace.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def block(containing):
    return next(code for code in PYTHON if containing in code)


@pytest.fixture
async def example(server, monkeypatch, processes):
    """The server with the example's namespace, and the page on another port."""
    port = free_port()
    page = processes.add(
        Process(
            "http.server",
            [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
            log=processes.folder / "page.log",
            cwd=EXAMPLE,
        )
    )
    page.start(lambda: accepts_connections(port))
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE))
    running = await server(NAMESPACES="tracking:Tracking", CORS_ORIGINS=f"http://127.0.0.1:{port}")
    running.page = f"http://127.0.0.1:{port}/?server={running.url}"
    return running


async def test_the_page_follows_an_order_that_a_courier_reports(example, browser):
    page = await browser.new_page()
    await page.goto(example.page)
    await page.wait_for_selector("body[data-ready]")
    await page.get_by_label("Token").fill(example.token("bob"))
    await page.get_by_role("button").click()
    await page.get_by_text("There is no such order").wait_for()
    await page.get_by_label("Token").fill(example.token("alice"))
    await page.get_by_role("button").click()
    await page.get_by_text("accepted", exact=True).wait_for()

    environment = os.environ | {
        "SERVER": example.url, "TOKEN": example.token("carl", roles=("courier",)), "PAUSE": "10",
    }  # fmt: skip
    courier = await asyncio.create_subprocess_exec(
        "node", str(EXAMPLE / "courier.mjs"), "1042", env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(courier.communicate(), 15)
    assert output.decode().count("reported") == 4
    await page.get_by_text("delivered", exact=True).wait_for()
    await page.get_by_text("The courier is at 52.53, 13.41").wait_for()


async def test_customers_and_couriers_have_their_own_permissions(example, js):
    alice = await js(example.url, "/tracking", token=example.token("alice"))
    assert await alice.call("joinOrder", "1042") == {"ok": True, "status": "accepted"}
    assert (await alice.call("joinOrder", "1043"))["error"]["code"] == "not_found"
    assert (await alice.call("joinOrder", 1042))["error"]["code"] == "invalid_payload"
    assert (await alice.call("report", {"orderId": "1042", "status": "delivered"}))["error"]["code"] == "forbidden"
    courier = await js(example.url, "/tracking", token=example.token("carl", roles=("courier",)))
    for report in ({"orderId": "1042"}, {"orderId": "1042", "status": "lost"}, {"orderId": "1042", "position": [1]}):
        assert (await courier.call("report", report))["error"]["code"] == "invalid_payload"
    delivered = {"orderId": "1042", "status": "delivered", "position": [1, 2.5]}
    assert await courier.call("report", delivered) == {"ok": True}
    assert await alice.next("orderUpdate") == [{"orderId": "1042", "status": "delivered"}]
    assert await alice.next("position") == [{"orderId": "1042", "position": [1, 2.5]}]
    assert await alice.call("leaveOrder", "1042") == {"ok": True}
    stranger = await js(example.url, "/tracking", wait=False)
    assert (await stranger.connect_error())["data"] == {"code": "token_missing"}


async def test_the_ten_minutes_of_the_page_work_as_they_are_written(processes, browser):
    """In an empty folder, with the commands of the page and no other setting; only the ports are free ones."""
    folder, port, pages = processes.new_folder("empty"), free_port(), free_port()
    replace = {"127.0.0.1:8000": f"127.0.0.1:{port}", "5500": str(pages)}

    def literally(language, containing):
        code = next(code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if containing in code)
        for old, new in replace.items():
            code = code.replace(old, new)
        return code

    (folder / "tracking.py").write_text(block('rate="10/s"'))
    (folder / "order.html").write_text(literally("html", "joinOrder"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "RTSERVER_PORT": str(port)}

    def run(name, command):
        log = processes.folder / f"{name}.log"
        # `exec`, so that a signal reaches the command itself.
        command = re.sub(r"(?=rtserver serve|python3 )", "exec ", command)
        return processes.add(Process(name, ["bash", "-c", command], log=log, env=environment, cwd=folder))

    server = run("rtserver", literally("sh", "rtserver serve"))
    await asyncio.to_thread(server.start, lambda: "Stop with Ctrl+C" in server.logs())
    assert "/tracking (tracking:Tracking)" in server.logs()
    make_token, serve_page = literally("sh", "rtserver token").splitlines()
    token = await asyncio.create_subprocess_exec(
        "bash", "-c", make_token, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE
    )
    text = (await token.communicate())[0].decode().strip()
    await asyncio.to_thread(run("pages", serve_page).start, lambda: accepts_connections(pages))

    windows = [await browser.new_page() for _ in range(2)]
    for window in windows:
        await window.goto(f"http://127.0.0.1:{pages}/order.html?token={text}")
        await expect(window.locator("#status")).to_have_text("no news yet")
    await windows[0].get_by_role("button", name="on its way").click()
    for window in windows:
        await expect(window.locator("#status")).to_have_text("on its way")
    await windows[0].goto(f"http://127.0.0.1:{pages}/order.html?token=rubbish")
    await expect(windows[0].locator("#status")).to_have_text("Auth failed token_invalid")


async def test_the_tests_of_the_page_pass(tmp_path):
    (tmp_path / "tracking.py").write_text(block('rate="10/s"'))
    (tmp_path / "test_tracking.py").write_text(block("import pytest"))
    command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "."]
    run = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(run.communicate(), 30)
    assert b"2 passed" in output, output.decode()


async def test_the_python_socketio_code_of_the_page_runs(tmp_path, processes, js):
    port = free_port()
    code = block("rtserver.Server(cors").replace("web.run_app(app)", f'web.run_app(app, host="127.0.0.1", port={port})')
    (tmp_path / "old.py").write_text(code)
    old = processes.add(Process("old", [sys.executable, str(tmp_path / "old.py")], log=tmp_path / "log"))
    old.start(lambda: accepts_connections(port))
    one, two = [await js(f"http://127.0.0.1:{port}", "/") for _ in range(2)]
    assert await one.call("message", "hello") == "seen"
    assert await two.next("message") == ["hello"]
    assert one.received("message") == []


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.split("\n", 1)[0][:40])
def test_every_python_example_of_the_page_compiles(code):
    compile(code, "own-namespace.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("code", [code for code in PYTHON if "(Namespace, path=" in code], ids=lambda code: code[-30:])
def test_every_namespace_of_the_page_can_be_defined(code):
    prelude = "import re\nfrom rtserver import Client, Namespace, Refused, event, server_event\n"
    exec(compile(prelude + code, "own-namespace.md", "exec", dont_inherit=True), {"__name__": "page"})
