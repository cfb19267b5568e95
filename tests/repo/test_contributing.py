"""CONTRIBUTING.md: its three walk-throughs, applied to a copy of the package and used by an official client."""

import re
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.repository import ROOT

BLOCKS = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


@pytest.fixture
def changed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package with all walk-throughs applied, which servers of this test run."""
    shutil.copytree(ROOT / "rtserver", tmp_path / "rtserver", ignore=shutil.ignore_patterns("__pycache__"))
    for block in BLOCKS:
        for path, hunks in re.findall(r"--- a/.*?\n\+\+\+ b/(.*?)\n(.*?)(?=\n--- |\Z)", block, re.DOTALL):
            for hunk in hunks.split("@@\n")[1:]:
                _apply(tmp_path / path, hunk.rstrip("\n").split("\n"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def _apply(file: Path, lines: list[str]) -> None:
    before = "\n".join(line[1:] for line in lines if line[:1] != "+")
    after = "\n".join(line[1:] for line in lines if line[:1] != "-")
    text = file.read_text()
    assert text.count(before) == 1, f"CONTRIBUTING.md shows lines that {file.name} has not, or has twice:\n{before}"
    file.write_text(text.replace(before, after))


async def test_an_event_an_operation_and_a_setting_are_added_as_the_page_says(
    changed_package: Path, server: Any, js: Any
) -> None:
    assert len(BLOCKS) == 3
    running = await server(CHAT_JOIN_HISTORY=2)
    client = await js(running.url, "/chat", token=running.token("alice"))
    assert (await client.call("join", {"room": "general"}))["ok"]
    for number in range(3):
        assert (await client.call("message", {"room": "general", "text": f"message {number}"}))["ok"]
    assert await client.call("first", {"room": "general"}) == {"ok": True, "seq": 1}
    assert (await client.call("first", {"room": 5}))["error"]["code"] == "invalid_payload"
    assert [each["seq"] for each in (await client.call("join", {"room": "general"}))["messages"]] == [2, 3]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {running.api_key}"}) as http:
        async with http.get(f"{running.url}/api/rooms/general/first") as response:
            assert (response.status, await response.json()) == (200, {"ok": True, "seq": 1})
        async with http.get(f"{running.url}/api/openapi.json") as response:
            assert "/api/rooms/{room}/first" in (await response.json())["paths"]
