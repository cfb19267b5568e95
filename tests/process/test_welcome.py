"""rtserver/process/welcome.py: what a developer sees first names everything there is to try."""

import io
from pathlib import Path

import pytest

from rtserver.auth.keys import secret_keys
from rtserver.auth.verifier import TokenVerifier
from rtserver.config.dev_secret import dev_secret, page_key
from rtserver.config.settings import Settings
from rtserver.process.welcome import print_welcome

SECRET = "3f9c1e07b5a84d62" * 4


URL = "http://127.0.0.1:8000"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def welcome(own: list[str], out: io.StringIO | None = None, **given: object) -> str:
    """What is printed to a terminal, or to `out`."""
    out = out or Terminal()
    print_welcome(Settings(_env_file=None, **given), URL, own, out)
    return out.getvalue()


def test_it_names_the_namespaces_of_the_user() -> None:
    text = welcome(["/tracking (tracking:Tracking)", "/t-[0-9]+ (shop.tenants:Tenant)"], jwt_secret=SECRET)
    assert (
        "    Your own       /tracking (tracking:Tracking)\n                   /t-[0-9]+ (shop.tenants:Tenant)\n" in text
    )
    assert "Your own" not in welcome([], jwt_secret=SECRET)


async def test_its_tokens_work_and_one_is_for_backends() -> None:
    tokens = [line.split()[-1] for line in welcome([], jwt_secret=SECRET).splitlines() if ".ey" in line]
    verified = [await TokenVerifier(secret_keys([SECRET])).verify(token) for token in tokens]
    assert [sorted(each.roles) for each in verified] == [[], ["admin"], ["service"]]


def test_its_link_has_the_key_of_the_pages() -> None:
    text = welcome([], jwt_secret=SECRET)
    assert f"Open           {URL}/#key={page_key(SECRET)}\n" in text
    assert SECRET not in text


@pytest.mark.parametrize("given", [{"jwt_secret": SECRET}, {}])
def test_where_a_collector_reads_it_has_no_token_and_no_key(tmp_path: Path, given: dict[str, str]) -> None:
    """Neither for users nor for admins; the link is in a file that others cannot read."""
    folder = tmp_path / "data"
    text = welcome([], io.StringIO(), data_dir=folder, **given)
    key = page_key(given.get("jwt_secret") or dev_secret(folder))
    assert ".ey" not in text
    assert key not in text
    assert f"    Open           {URL}/\n" in text
    assert str(folder / "dev-link") in text
    assert "rtserver token --sub NAME" in text
    assert (folder / "dev-link").read_text() == f"{URL}/#key={key}\n"
    assert (folder / "dev-link").stat().st_mode & 0o777 == 0o600
    welcome([], io.StringIO(), data_dir=folder, **given)
    assert len(list(folder.glob("dev-link*"))) == 1


def test_a_folder_that_cannot_be_written_does_not_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = welcome([], io.StringIO(), data_dir=tmp_path / "file", jwt_secret=SECRET)
    assert "dev-link" not in text
    assert ".ey" not in text


def test_it_tells_how_to_make_more_tokens_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dev_secret(tmp_path / "my data")
    text = welcome([], data_dir="my data")
    assert f"rtserver token --sub NAME --data-dir '{tmp_path}/my data'" in text


def test_it_says_that_the_browser_client_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "browser client" not in welcome([], jwt_secret=SECRET)
    monkeypatch.setattr("rtserver.process.welcome.WEB", tmp_path)
    assert "The browser client is not installed" in welcome([], jwt_secret=SECRET)
