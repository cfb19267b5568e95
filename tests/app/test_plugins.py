"""rtserver/app/plugins.py: namespaces of others are found in the folder, and their faults are told in a sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rtserver.app import plugins
from rtserver.app.composition import SERVER, create_app, own_namespaces
from rtserver.config.settings import Settings
from rtserver.errors import ConfigError
from rtserver.sio.dispatch.dispatcher import run_start
from rtserver.telemetry.user_traceback import explain

GOOD = """
from rtserver import Namespace

class Orders(Namespace, path="/orders"): ...
class Same(Namespace, path="/orders"): ...
class Chat(Namespace, path="/chat"): ...
class Typo(Namespace, path="orders"): ...
class Odd(Namespace, path=5): ...
class Needy(Namespace, path="/needy"):
    def __init__(self, url): ...
class Failing(Namespace, path="/failing"):
    async def on_start(self):
        raise LookupError("no printer")
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Write a module into the working directory, and return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(source: str) -> str:
        name = f"plugin_{abs(hash(source))}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


def faults(*names: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        create_app(Settings(_env_file=None, namespaces=names, jwt_secret="x1y2z3w4" * 8))
    return caught.value.faults


def test_a_file_in_the_working_directory_is_found_without_pythonpath(module: Callable[[str], str]) -> None:
    name = module(GOOD)
    settings = Settings(_env_file=None, namespaces=f"{name}:Orders", jwt_secret="x1y2z3w4" * 8)
    assert own_namespaces(create_app(settings)[SERVER]) == [f"/orders ({name}:Orders)"]


def test_every_fault_is_told_at_once(module: Callable[[str], str], tmp_path: Path) -> None:
    name = module(GOOD)
    broken = module("import os\nos.environ['NO_SUCH_VARIABLE']\n")
    told = faults(f"{name}:Missing", f"{broken}:X", f"{name}:Needy", "plugin_nowhere:X", "os:path")
    assert told[0] == f"RTSERVER_NAMESPACES: there is no 'Missing' in {name}."
    assert told[1].splitlines() == [
        f"RTSERVER_NAMESPACES: '{broken}:X' cannot be imported: KeyError: 'NO_SUCH_VARIABLE'.",
        f"    File \"{tmp_path / broken}.py\", line 2: os.environ['NO_SUCH_VARIABLE']",
    ]
    assert "must be constructible without arguments: TypeError" in told[2]
    assert (
        f"No module named 'plugin_nowhere'. Is its folder on PYTHONPATH? It was looked for there and in {tmp_path}"
        in (told[3])
    )
    assert told[4:] == [
        "RTSERVER_NAMESPACES: 'os:path' is not a subclass of rtserver.Namespace.",
    ]


def test_two_namespaces_on_one_path_are_told_by_their_names(module: Callable[[str], str]) -> None:
    name = module(GOOD)
    told = faults(*(f"{name}:{cls}" for cls in ("Orders", "Same", "Chat", "Typo", "Odd")))
    assert [fault.removeprefix("RTSERVER_NAMESPACES: ") for fault in told] == [
        "two namespaces claim /orders, Orders and Same: give one of them another path.",
        "two namespaces claim /chat, Chat and Chat: give one of them another path.",
        "Typo: the path 'orders' does not begin with a slash.",
        "Odd: the path is a text, a compiled pattern or a function, not 5.",
    ]


IMPORTS = {
    "a name error": ("nonsense\n", "NameError: name 'nonsense' is not defined.", "line 1: nonsense"),
    "an attribute of a module": (
        "import os\nos.nope\n", "AttributeError: module 'os' has no attribute 'nope'.", "line 2: os.nope",
    ),
    "a syntax error": ("\ndef f(:\n", "SyntaxError: invalid syntax.", "line 2: def f(:"),
    "an exit": ("import sys\nsys.exit('bye')\n", "SystemExit: bye.", "line 2: sys.exit('bye')"),
    "a missing library": ("import no_such_library\n", "No module named 'no_such_library'.", "line 1: import no_such"),
    "deep inside the library": ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting", "line 2: json.loads"),
    "inside rtserver": (
        "from rtserver import Namespace, event\nclass A(Namespace, path='/a'):\n"
        "    @event('x', rate='many')\n    def x(self, client): ...\n",
        "rate", "line 3: @event('x', rate='many')",
    ),
    "a password": (
        "connect = 'postgres://app:hunter22@db/x'\nraise OSError(f'cannot reach {connect}')\n",
        "OSError: cannot reach postgres://app:[redacted]@db/x.", "line 2",
    ),
    "several lines and colours": ("raise OSError('one\\n\\x1b[31mtwo')\n", "OSError: one \\x1b[31mtwo.", "line 1"),
}  # fmt: skip


@pytest.mark.parametrize("kind", IMPORTS)
def test_a_module_that_raises_is_one_sentence_and_its_own_line(kind: str, module: Callable[[str], str]) -> None:
    source, sentence, line = IMPORTS[kind]
    [fault] = faults(f"{module(source)}:X")
    first, second = fault.splitlines()
    assert "cannot be imported: " in first
    assert sentence in first
    assert line in second
    assert second.startswith('    File "')
    assert "hunter22" not in fault


async def test_a_failing_on_start_is_told_in_the_same_way(module: Callable[[str], str]) -> None:
    name = module(GOOD)
    [namespace] = plugins.load([f"{name}:Failing"])
    with pytest.raises(ConfigError) as caught:
        await run_start(namespace.on_start, type(namespace))
    first, second = caught.value.faults[0].splitlines()
    assert first == "Failing.on_start failed: LookupError: no printer."
    assert second.endswith('raise LookupError("no printer")')


def test_an_entry_point_that_raises_is_told_in_the_same_way(
    module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    point = EntryPoint("broken", f"{module('nonsense')}:X", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    monkeypatch.syspath_prepend(tmp_path)
    [fault] = faults()
    assert fault.startswith(f"the entry point 'broken' of {plugins.GROUP} cannot be loaded: NameError:")


def test_the_line_of_an_installed_plugin_is_its_own_and_not_the_library_s() -> None:
    """It has no frame outside the installed packages."""
    import yarl

    with pytest.raises(TypeError) as caught:
        yarl.URL(5)
    raised = caught.value
    raised = raised.with_traceback(raised.__traceback__.tb_next)  # without the frame of this test
    assert "yarl" in explain(raised, "yarl.plugin").splitlines()[1]
