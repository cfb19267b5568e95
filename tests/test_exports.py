"""rtserver/__init__.py: what users import from `rtserver`."""

from __future__ import annotations

import re

import pytest

import rtserver
from tests.support.repository import ROOT

NAMES = [
    "AckTimeout", "Client", "Emitter", "EventError", "Namespace", "Refused", "Runner", "Server", "Settings",
    "SyncEmitter", "create_app", "event", "server_event",
]  # fmt: skip
_IMPORT = re.compile(r"from rtserver import (\([^)]*\)|[^\n]*)")


def test_the_public_names_stay() -> None:
    assert sorted(rtserver.__all__) == NAMES
    assert sorted(rtserver._HOMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_can_be_imported(name: str) -> None:
    assert getattr(rtserver, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = rtserver.Nothing


def test_the_docs_import_public_names_only() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *(ROOT / "examples").rglob("*.py")]
    imports = [names for page in pages for names in _IMPORT.findall(page.read_text())]
    imported = {
        name.strip() for names in imports for name in names.split("#")[0].strip("()").split(",") if name.strip()
    }
    assert imported
    assert imported <= set(NAMES)
