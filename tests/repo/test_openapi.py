"""/api/openapi.json is a valid document, and the server conforms to it (checked by schemathesis)."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

PAGE = (ROOT / "docs" / "backends.md").read_text()
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
# The schema cannot say all that is asked for ("either `user` or `users`"), so a good request may be refused.
CHECKS = ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
HOW = ["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--no-color"]


async def document_of(server: RtServer) -> dict[str, Any]:
    """The document; it needs no key while the API is on."""
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/api/openapi.json") as answer:
        assert answer.status == 200
        document: dict[str, Any] = await answer.json()
        return document


def listed(page: str) -> set[str]:
    """The operations of the page's table: `GET`, `DELETE /api/scheduled/{id}` are two."""
    cells = re.findall(r"^\| (`[A-Z]+[`/ ].*?/api/[^|]*`) \|", page.split("### All operations")[1], re.MULTILINE)
    found = set()
    for cell in cells:
        path = re.search(r"/api/[^`?]+", cell)
        assert path is not None
        found |= {f"{method} {path[0]}" for method in re.findall(r"[A-Z]{3,}", cell.split("/api/")[0])}
    return found


async def try_out(server: RtServer, *options: str) -> None:
    """Valid requests, requests at the bounds and invalid ones, to each operation."""
    command = [SCHEMATHESIS, "run", f"{server.url}/api/openapi.json", *CHECKS, *HOW, *options]
    key = ["-H", f"Authorization: Bearer {server.api_key}"]
    run = await asyncio.create_subprocess_exec(
        *command, *key, cwd=server.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await run.communicate())[0].decode()
    assert run.returncode == 0, said[-20_000:]
    assert "Traceback" not in server.logs()


async def test_the_document_is_valid_and_the_page_lists_all_operations(
    server: Callable[..., Awaitable[RtServer]],
) -> None:
    running = await server(UPLOAD_LIMIT=10_000)
    document = await document_of(running)
    OpenAPIV31SpecValidator(document).validate()
    table = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert listed(PAGE) == table.keys()
    operations = table.values()
    assert len({operation["operationId"] for operation in operations}) == len(operations) >= 9
    assert all(operation["summary"] and {"500", "503"} <= operation["responses"].keys() for operation in operations)


@pytest.mark.timeout(240)
async def test_the_server_conforms_to_its_document(server: Callable[..., Awaitable[RtServer]]) -> None:
    running = await server(RATE_API="off", UPLOAD_LIMIT=10_000)
    await try_out(running, "--phases", "fuzzing", "--max-examples", "10")


@pytest.mark.timeout(240)
async def test_the_server_conforms_to_its_document_on_postgres(
    server: Callable[..., Awaitable[RtServer]], postgres_url: str
) -> None:
    """Values that the database cannot store are rejected before they reach it."""
    running = await server(RATE_API="off", UPLOAD_LIMIT=10_000, DATABASE_URL=postgres_url)
    await try_out(running, "--phases", "coverage")
