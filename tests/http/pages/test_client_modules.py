"""rtserver/http/pages/client_modules.py: the modules and their types as front ends request them."""

import subprocess
from pathlib import Path

import pytest

from rtserver.http.pages.client_modules import ClientModules
from tests.http.conftest import Serve
from tests.support.repository import ROOT

WEB = ROOT / "rtserver" / "web"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name, text in {
        "m/chat.js": "export {}",
        "m/.env": "SECRET",
        "m/x.mjs": "SECRET",
        "t/chat.d.ts": "export {};",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "m", tmp_path / "t"


async def test_each_module_has_its_types_beside_it(serve: Serve, folders: tuple[Path, Path]) -> None:
    client = await serve(ClientModules(*folders))
    for path, content_type in {"/client/chat.js": "application/javascript", "/client/chat.d.ts": "text/plain"}.items():
        answer = await client.get(path)
        assert (answer.status, answer.content_type) == (200, content_type)
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = await client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status == 304


@pytest.mark.parametrize(
    "path", ["/client/", "/client/.env", "/client/x.mjs", "/client/..%2fm%2fchat.js", "/client/no.js"]
)
async def test_nothing_else_of_the_folders_is_served(serve: Serve, folders: tuple[Path, Path], path: str) -> None:
    client = await serve(ClientModules(*folders))
    assert (await client.get(path)).status == 404


async def test_a_module_that_is_removed_is_not_found(serve: Serve, folders: tuple[Path, Path]) -> None:
    client = await serve(ClientModules(*folders))
    (folders[0] / "chat.js").unlink()
    assert (await client.get("/client/chat.js")).status == 404


def test_the_types_are_those_of_the_modules(tmp_path: Path) -> None:
    """`node_modules/.bin/tsc -p tsconfig.types.json` writes them anew."""
    compiler = ROOT / "node_modules" / ".bin" / "tsc"
    subprocess.run([compiler, "-p", "tsconfig.types.json", "--outDir", tmp_path], cwd=ROOT, check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in (WEB / "client_types").iterdir()}
    assert set(made) == {path.with_suffix(".d.ts").name for path in (WEB / "client").iterdir()}
