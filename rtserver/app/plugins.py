"""Plugins: namespaces named by `RTSERVER_NAMESPACES=my.module:Tracking` or by entry points `rtserver.namespaces`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from rtserver.errors import ConfigError
from rtserver.sio.namespace.namespace import Namespace

GROUP = "rtserver.namespaces"


def load(names: Iterable[str]) -> list[Namespace]:
    """Return an instance of each class in `names`, then of each entry point. Raises `ConfigError` with every fault."""
    faults: list[str] = []
    found: list[Namespace] = []
    for name in names:
        try:
            found.append(_instance(_import(name), f"RTSERVER_NAMESPACES: {name!r}"))
        except ConfigError as error:
            faults += error.faults
    for point in entry_points(group=GROUP):
        found.append(_instance(point.load(), f"the entry point {point.name!r} of {GROUP}"))
    if faults:
        raise ConfigError(faults)
    return found


def _import(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError([f"RTSERVER_NAMESPACES: {name!r} is not of the form package.module:Class."])
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        fault = f"RTSERVER_NAMESPACES: {name!r} cannot be imported: {error}."
        raise ConfigError([fault + _hint(error, module)]) from error
    except AttributeError:
        raise ConfigError([f"RTSERVER_NAMESPACES: there is no {attribute!r} in {module}."]) from None


def _hint(error: ImportError, module: str) -> str:
    """Return advice where the module itself is not found, rather than one that it imports."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None or not f"{module}.".startswith(f"{missing}."):
        return ""
    return " Is its folder on PYTHONPATH? For a file in this folder: PYTHONPATH=. rtserver serve."


def _instance(cls: Any, where: str) -> Namespace:
    if not (isinstance(cls, type) and issubclass(cls, Namespace)):
        raise ConfigError([f"{where} is not a subclass of rtserver.Namespace."])
    try:
        return cls()
    except TypeError as error:
        raise ConfigError([f"{where} must be constructible without arguments: {error}."]) from error
