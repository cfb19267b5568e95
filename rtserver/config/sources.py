"""Sources of settings: flags, the environment, the file `.env`. Must not know what a value means.

1. A flag overrides the environment, which overrides `.env`, which overrides the default.
2. Empty text counts as not set, as Compose files write it (`RTSERVER_REDIS_URL=${REDIS_URL:-}`).
3. No other module reads the environment for settings.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values

PREFIX = "RTSERVER_"
UNPREFIXED = frozenset({"port", "redis_url", "database_url"})
"""Accepted without the prefix too, as platforms set them."""

SourceKind = Literal["flag", "environment", ".env", "default"]


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and the name that it was found under, such as `PORT` or `RTSERVER_PORT`."""

    value: Any = field(repr=False)
    name: str
    source: SourceKind


@dataclass(frozen=True, slots=True)
class Sources:
    """`found` by setting; `unknown` names have the prefix and are no settings; `faults` concern the file itself."""

    found: Mapping[str, Found]
    unknown: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def variable(setting: str) -> str:
    """Return the name of a setting in the environment: `port` → `RTSERVER_PORT`."""
    return PREFIX + setting.upper()


def read(
    settings: Collection[str], flags: Mapping[str, Any], environ: Mapping[str, str], env_file: Path | None
) -> Sources:
    """Find each setting in the first source that has it."""
    file, faults = _read_file(env_file)
    names = {variable(setting): setting for setting in settings}
    found = {
        **dict(_named(names, file, ".env")),
        **dict(_named(names, environ, "environment")),
        **{name: Found(value, variable(name), "flag") for name, value in flags.items() if name in settings},
    }
    unknown = [name for source in (environ, file) for name in source if _is_ours(name) and name not in names]
    unknown += [variable(name) for name in flags if name not in settings]
    return Sources(found, tuple(dict.fromkeys(unknown)), faults)


def nearest(name: str, settings: Collection[str]) -> str | None:
    """Return the name of the setting that an unknown name resembles most, if any does."""
    meant = difflib.get_close_matches(name.upper().removeprefix(PREFIX).lower(), settings, n=1, cutoff=0.6)
    return variable(meant[0]) if meant else None


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _named(names: Mapping[str, str], values: Mapping[str, str], source: SourceKind) -> Iterator[tuple[str, Found]]:
    for name, setting in names.items():
        for candidate in (name, name.removeprefix(PREFIX)) if setting in UNPREFIXED else (name,):
            if value := values.get(candidate, "").strip():
                yield setting, Found(value, candidate, source)
                break


def _read_file(path: Path | None) -> tuple[Mapping[str, str], tuple[str, ...]]:
    if path is None or not path.is_file():
        return {}, ()
    try:
        values = dotenv_values(path)
    except (OSError, UnicodeDecodeError):
        return {}, (f"The file {path} cannot be read: it must be text in UTF-8 that this user may read.",)
    return {name: value or "" for name, value in values.items()}, ()
