"""docs/security.md: every control that it names exists, and so does every test."""

import re

import pytest

from tests.support.repository import ROOT

PAGE = (ROOT / "docs/security.md").read_text()
ROWS = re.findall(r"^\| (?!kind \|)([^|-][^|]*) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_all_its_rows() -> None:
    assert len(ROWS) == len(re.findall(r"^\| (?!kind )[^-]", PAGE, re.MULTILINE)) > 30


@pytest.mark.parametrize(("kind", "controls", "tests"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_control_and_test_exist(kind: str, controls: str, tests: str) -> None:
    modules, named = re.findall("`([^`]+)`", controls), re.findall("`([^`]+)`", tests)
    assert modules
    assert named, kind
    for module in modules:
        assert (ROOT / "rtserver" / module).is_file(), module
    for name in named:
        file, _, function = name.partition("::")
        source = (ROOT / "tests" / file).read_text()
        assert not function or f"def {function}(" in source, name
