"""Rules of the repository: layout, lock files, licences, make targets, the top bar of the pages."""

import json
import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.repository import ROOT

TOP_LEVEL = {
    "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "Procfile",
    "requirements.lock", "package.json", "package-lock.json", "rtserver", "tests", "examples", "nginx", "docs",
}  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listing.stdout.splitlines()  # none in an unpacked sdist, which has nothing else either


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in requirements}


def test_the_usual_files_are_at_the_top() -> None:
    missing = sorted(name for name in TOP_LEVEL if not (ROOT / name).exists())
    assert not missing


def test_no_generated_or_fetched_file_is_committed() -> None:
    made = re.compile(r"(^|/)(node_modules|\.venv|__pycache__|vendor|var|\.env)(/|$)")
    assert not [path for path in tracked() if made.search(path)]


def test_no_file_has_marks_of_a_merge_conflict() -> None:
    marked = re.compile(rb"^(<{7}|>{7}|\|{7})( |$)", re.MULTILINE)
    files = [ROOT / path for path in tracked()]
    assert not [str(file) for file in files if file.is_file() and marked.search(file.read_bytes())]


@pytest.mark.parametrize("requirement", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
def test_every_dependency_is_locked_at_a_version_it_allows(requirement: str) -> None:
    wanted = Requirement(requirement)
    pin = pins()[canonicalize_name(wanted.name)]
    assert pin.startswith("==")
    assert wanted.specifier.contains(pin.removeprefix("=="), prereleases=True)


@pytest.mark.parametrize("name", ["requirements.lock", "package-lock.json"])
def test_a_lock_file_names_no_registry(name: str) -> None:
    """Installs must work behind a company's mirror too."""
    text = (ROOT / name).read_text()
    assert '"resolved"' not in text
    assert not re.search(r"(registry|pypi|files)\.[a-z.]*(org|io)|--(extra-)?index-url|@ (file|https?):", text)


def test_the_npm_lock_file_matches_package_json() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"][""]
    for kind in ("dependencies", "devDependencies"):
        assert locked.get(kind, {}) == wanted.get(kind, {})


@pytest.mark.parametrize("target", ["setup", "run", "test", "check", "clean"])
def test_make_has_the_documented_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_third_party_licences_ship_with_the_browser_client() -> None:
    vendor = ROOT / "rtserver" / "web" / "vendor"
    assert vendor.exists(), "the browser client was not fetched: make setup"
    text = (vendor / "THIRD_PARTY_LICENSES.txt").read_text()
    for package in ("socket.io-client", "engine.io-client", "socket.io-parser", "notepack.io", "debug"):
        assert f"\n{package} " in f"\n{text}"
    assert (vendor / "socket.io" / "LICENSE").read_text()


def test_all_pages_have_the_same_top_bar() -> None:
    """The bar is static HTML on each page, so that it shows before any script runs; the copies must not diverge."""
    pages = [*(ROOT / "rtserver/web").glob("*.html"), ROOT / "rtserver/web/admin/index.html"]
    bars = {page.name: re.search(r'<header class="topbar">.*?</header>', page.read_text(), re.DOTALL) for page in pages}
    assert len(pages) == 4
    assert len({bar and bar[0].replace(' aria-current="page"', "") for bar in bars.values()}) == 1


def test_names_on_the_on_call_page_are_logged_or_measured() -> None:
    page = (ROOT / "docs/on-call.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "rtserver").rglob("*.py"))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)[`{]", page))
    assert {"rtserver_redis_up", "database_trouble"} < named
    for name in named:
        # The library adds "_total" to counters; the last word of some gauges comes from a table.
        known = (name, name.removesuffix("_total"), re.sub("_[a-z]+_seconds$", "_{name}", name))
        assert any(f'"{form}"' in sources or f" {form}=" in sources or f"({form}=" in sources for form in known), name
