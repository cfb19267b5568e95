"""Plugins: namespaces named by `RTSERVER_NAMESPACES=my.module:Tracking` or by entry points `rtserver.namespaces`.

A plugin is somebody else's code: whatever it raises while it is loaded is a fault of the settings, told in a sentence
and the line of the plugin that raised it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rtserver.errors import ConfigError
from rtserver.sio.namespace.namespace import Namespace
from rtserver.telemetry.user_traceback import explain

GROUP = "rtserver.namespaces"
_SETTING = "RTSERVER_NAMESPACES"


def load(names: Iterable[str]) -> list[Namespace]:
    """Return an instance of each class in `names`, then of each entry point. Raises `ConfigError` with every fault."""
    faults: list[str] = []
    found: list[Namespace] = []
    for make in _sources(list(names)):
        try:
            found.append(make())
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return found


def add_all(add: Callable[[Namespace], None], namespaces: Iterable[Namespace]) -> None:
    """Call `add` with each namespace. Raises `ConfigError` with every definition that it rejects with `ValueError`."""
    faults: list[str] = []
    for namespace in namespaces:
        try:
            add(namespace)
        except ValueError as error:
            faults.append(f"{_SETTING}: {error}.")
    if faults:
        raise ConfigError(faults)


def _sources(names: list[str]) -> Iterator[Callable[[], Namespace]]:
    if names:
        _search_working_directory()
    for name in names:
        yield partial(_from_setting, name)
    for point in entry_points(group=GROUP):
        yield partial(_from_entry_point, point)


def _search_working_directory() -> None:
    """Let modules be found where the command runs, as `python -m` does; an installed `rtserver` script does not."""
    folder = os.getcwd()
    if not {"", folder} & set(sys.path):
        sys.path.insert(0, folder)


def _from_setting(name: str) -> Namespace:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError([f"{_SETTING}: {name!r} is not of the form package.module:Class."])
    where = f"{_SETTING}: {name!r}"
    imported = _guarded(partial(import_module, module), f"{where} cannot be imported", module)
    if not hasattr(imported, attribute):
        raise ConfigError([f"{_SETTING}: there is no {attribute!r} in {module}."])
    return _instance(getattr(imported, attribute), where, module)


def _from_entry_point(point: EntryPoint) -> Namespace:
    where = f"the entry point {point.name!r} of {GROUP}"
    return _instance(_guarded(point.load, f"{where} cannot be loaded", point.module), where, point.module)


def _instance(cls: Any, where: str, module: str) -> Namespace:
    if not (isinstance(cls, type) and issubclass(cls, Namespace)):
        raise ConfigError([f"{where} is not a subclass of rtserver.Namespace."])
    made: Namespace = _guarded(cls, f"{where} must be constructible without arguments", module)
    return made


def _guarded(call: Callable[[], Any], where: str, module: str) -> Any:
    """Call the plugin's code; raises `ConfigError` for whatever it raises, its `sys.exit()` too."""
    try:
        return call()
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # the boundary to code that is not ours
        raise ConfigError([f"{where}: {_reason(error, module)}"]) from error


def _reason(error: BaseException, module: str) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None or not f"{module}.".startswith(f"{missing}."):
        return explain(error, module)
    # The module itself is not found, rather than one that it imports.
    return f"{error}. Is its folder on PYTHONPATH? It was looked for there and in {os.getcwd()}."
