"""docs/architecture.md and the layout of the package: the map shows what is there, and the layout keeps its rules."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.repository import ROOT

PACKAGE = ROOT / "rtserver"
PAGE = (ROOT / "docs/architecture.md").read_text()
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
MOST_MODULES = 16
MOST_LINES = 400


def _imports(path: Path, *, with_types: bool) -> Iterator[str]:
    """The modules of the package that a file imports at its top level or in its functions."""
    tree = ast.parse(path.read_text())
    only_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_types and not with_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _graph(*, with_types: bool) -> dict[str, set[str]]:
    return {
        module: {name for name in _imports(path, with_types=with_types) if name in MODULES and name != module}
        for module, path in MODULES.items()
        if module != "rtserver"  # it offers names of all the others, on demand
    }


def _folder(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def _assert_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("with_types", [False, True], ids=["run time", "with types"])
def test_no_files_import_each_other_in_a_circle(with_types: bool) -> None:
    _assert_no_circle(_graph(with_types=with_types))


@pytest.mark.parametrize("with_types", [False, True], ids=["run time", "with types"])
def test_no_folders_import_each_other_in_a_circle(with_types: bool) -> None:
    folders: dict[str, set[str]] = defaultdict(set)
    for module, imported in _graph(with_types=with_types).items():
        folders[_folder(module)] |= {_folder(name) for name in imported} - {_folder(module)}
    # The folder of the leaves contains all the others.
    _assert_no_circle({name: found - {"rtserver"} for name, found in folders.items() if name != "rtserver"})


def test_a_folder_holds_few_enough_modules_to_be_read_at_a_glance() -> None:
    counts: dict[Path, int] = defaultdict(int)
    for path in MODULES.values():
        counts[path.parent] += path.name != "__init__.py"
    assert not {str(folder): count for folder, count in counts.items() if count > MOST_MODULES}


def test_no_source_file_outgrows_a_readers_patience() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert not {module: lines for module, lines in lengths.items() if lines > MOST_LINES}


def test_every_module_says_what_it_is() -> None:
    assert not [module for module, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))]


def test_the_map_names_only_files_that_exist() -> None:
    """`folder/file.py` in the text, in any folder of the package; `folder/` and tests from the root."""
    known = {path.relative_to(PACKAGE).as_posix() for path in MODULES.values()}
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", PAGE))
    assert len(named) > 60
    missing = [name for name in named if not (ROOT / name).exists() and not any(_ends(path, name) for path in known)]
    assert not missing
    folders = set(re.findall(r"`((?:\w+/)+)`", PAGE))
    known_folders = {path.parent.relative_to(PACKAGE).as_posix() + "/" for path in MODULES.values()} | {"web/"}
    assert not [
        name for name in folders if not (ROOT / name).is_dir() and not any(_ends(path, name) for path in known_folders)
    ]


def test_the_drawing_names_only_files_that_exist() -> None:
    drawing = (ROOT / "docs/images/architecture-event.svg").read_text()
    named = set(re.findall(r">((?:\w+/)*\w+\.py)<", drawing))
    known = {path.relative_to(PACKAGE).as_posix() for path in MODULES.values()}
    assert len(named) > 30
    assert not [name for name in named if not any(_ends(path, name) for path in known)]


def test_the_map_shows_every_package_and_leaf() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    leaves = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    drawing = (ROOT / "docs/images/architecture-staircase.svg").read_text()
    assert not [name for name in packages if f">{name}<" not in drawing or f"`{name}/`" not in PAGE]
    assert not [name for name in leaves if name not in drawing or f"`{name}`" not in PAGE]


def test_the_drawn_staircase_is_the_one_that_is_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["name"].startswith("one staircase"))
    enforced = [{name.strip().removeprefix("rtserver.") for name in layer.split("|")} for layer in layers]
    drawing = (ROOT / "docs/images/architecture-staircase.svg").read_text()
    tops = {name: int(y) for y, name in re.findall(r'y="(\d+)" class="b">(\w+)<', drawing) if name != "leaves"}
    floors = [layer & tops.keys() for layer in enforced if layer & tops.keys()]
    assert set().union(*floors) == set(tops)
    for upper, lower in pairwise(floors):
        assert max(tops[name] for name in upper) < min(tops[name] for name in lower)


def _ends(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")
