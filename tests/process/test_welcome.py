"""rtserver/process/welcome.py: what a developer sees first names everything there is to try."""

import io
from pathlib import Path

import pytest

from rtserver.auth.keys import secret_keys
from rtserver.auth.verifier import TokenVerifier
from rtserver.config.dev_secret import dev_secret
from rtserver.config.settings import Settings
from rtserver.process.welcome import print_welcome

SECRET = "3f9c1e07b5a84d62" * 4


def welcome(own: list[str], **given: object) -> str:
    out = io.StringIO()
    print_welcome(Settings(_env_file=None, **given), "http://127.0.0.1:8000", own, out)
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


def test_it_tells_how_to_make_more_tokens_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dev_secret(tmp_path / "my data")
    text = welcome([], data_dir="my data")
    assert f"rtserver token --sub NAME --data-dir '{tmp_path}/my data'" in text


def test_it_says_that_the_browser_client_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "browser client" not in welcome([], jwt_secret=SECRET)
    monkeypatch.setattr("rtserver.process.welcome.WEB", tmp_path)
    assert "The browser client is not installed" in welcome([], jwt_secret=SECRET)
