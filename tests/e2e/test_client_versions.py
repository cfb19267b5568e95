"""Every minor version of the official client since 2.5, unmodified, over each transport."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

SCRIPT = ROOT / "tests" / "support" / "js" / "client_versions.mjs"
VERSIONS = ["-v2", "-v3", *(f"-v4.{minor}" for minor in range(8)), ""]


async def test_every_version_connects_exchanges_data_and_comes_back(
    server: Callable[..., Awaitable[RtServer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    running = await server(NAMESPACES="tests.workers.echo:Echo", ALLOW_EIO3=True)
    packages = [f"socket.io-client{version}" for version in VERSIONS]
    trial = await asyncio.create_subprocess_exec(
        "node", SCRIPT, f"{running.url}/echo", *packages, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(trial.communicate(), 100)
    assert json.loads(told) == []
