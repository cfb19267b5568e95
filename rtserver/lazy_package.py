"""Lazy package: a library whose `__init__` loads everything that it has, of which a server needs a small part.

`import socketio` loads its clients and the drivers of every message queue, `sqlalchemy.ext.asyncio` the whole ORM. That
is a third of the time until a server listens, and of its memory at rest. So the package is put into `sys.modules`
without running its `__init__`:

1. A name of `homes` loads the module that defines it, and a submodule itself. Both are what the `__init__` would give.
2. `__version__` is that of the installed distribution, which has the name of the package.
3. Any other name runs the `__init__`. Code of others sees no difference but the time at which modules are loaded.
4. A package that is imported already stays as it is.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_LOCK = threading.RLock()


class _LazyPackage(ModuleType):
    """A package whose `__init__` has not run, or runs. `_homes` as in `lazy_package`; absent while it runs."""

    _homes: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        """Called for names that are not there yet. Raises `AttributeError`."""
        homes: Mapping[str, str] | None = self.__dict__.get("_homes")
        if homes is not None and name in homes:
            value = getattr(import_module(f"{self.__name__}.{homes[name]}"), name)
            setattr(self, name, value)
            return value
        if name == "__version__":
            return version(self.__name__)
        if homes is not None and not name.startswith("__") and find_spec(f"{self.__name__}.{name}") is not None:
            return import_module(f"{self.__name__}.{name}")
        _run_init(self)
        if name in self.__dict__:
            return self.__dict__[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def lazy_package(name: str, homes: Mapping[str, str]) -> None:
    """Let `import name` run no `__init__`; `homes`: names and the submodules that define them."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        return
    package = module_from_spec(spec)
    package.__dict__["_homes"] = homes
    package.__class__ = _LazyPackage
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


@contextmanager
def without(name: str) -> Iterator[None]:
    """Within it, importing the package fails, as where it is not installed; nothing changes if it is loaded."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # this is how the import system spells it
    try:
        yield
    finally:
        del sys.modules[name]


def _run_init(package: ModuleType) -> None:
    """Run the `__init__` once; another thread waits until it has run."""
    with _LOCK:
        spec = package.__spec__
        if package.__dict__.pop("_homes", None) is not None and spec is not None and spec.loader is not None:
            spec.loader.exec_module(package)
            package.__class__ = ModuleType
