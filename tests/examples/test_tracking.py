"""The tracking example and the page that explains it, run as described."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import sys

import pytest

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


async def test_the_quick_start_of_the_page_works(server, monkeypatch, tmp_path, js):
    (tmp_path / "tracking.py").write_text(block('rate="10/s"'))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    running = await server(NAMESPACES="tracking:Tracking")
    client = await js(running.url, "/tracking", token=running.token("alice"))
    assert await client.call("joinOrder", "1042") == {"ok": True}
    assert await client.call("report", "1042", "delivered") == {"ok": True}
    assert await client.next("orderUpdate") == [{"orderId": "1042", "status": "delivered"}]


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
